"""The best network for a budget: many are tried, few are trained in full, the best is proved."""

from toolchain.search.plan import Pictures, SearchPlan
from toolchain.search.run import SearchResult, load, search
from toolchain.search.space import Space
from toolchain.search.trials import Outcome, TrialRecord

__all__ = [
    "Outcome",
    "Pictures",
    "SearchPlan",
    "SearchResult",
    "Space",
    "TrialRecord",
    "load",
    "search",
]
