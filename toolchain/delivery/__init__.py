"""From proven files to devices: bundles, signatures, SSH."""
