"""The best network for a budget: many are tried, few are trained in full, the best is proved."""

from toolchain.search.plan import SearchPlan
from toolchain.search.run import search
from toolchain.search.space import Space
from toolchain.search.trials import Trial, trials_of

__all__ = ["SearchPlan", "Space", "Trial", "search", "trials_of"]
