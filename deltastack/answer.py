"""What every result of the Python API can do: print as text, show in a notebook, become a data frame and a chart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from deltastack.errors import PreflightError

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


class Answer(ABC):
    """A result with one table; a subclass says which, and which columns a chart shows."""

    __slots__ = ()

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """The numbers, one row each."""
        ...

    @abstractmethod
    def _chart(self) -> alt.Chart:
        """The chart of ``plot``."""
        ...

    def plot(self) -> alt.Chart:
        """The numbers as a Vega-Lite chart; ``.save("figure.html")`` writes it.

        Raises:
            PreflightError: Altair is not installed.
        """
        try:
            return self._chart()
        except ModuleNotFoundError as error:
            raise PreflightError(f"plot() needs {error.name}; pip install 'deltastack[graph]'") from error

    def _repr_html_(self) -> str:
        """The table as a notebook shows it; text is escaped."""
        return str(self.to_frame().to_html(index=False, escape=True, na_rep="-", float_format=lambda v: f"{v:.4g}"))
