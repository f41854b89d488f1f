"""What only a workstation needs: drawing, HTML pages, modules of the user's."""
