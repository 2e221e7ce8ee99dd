"""Bad input of a corpus: the first is an error, or all of them are reported before the end."""

from __future__ import annotations

import sys

from separation.errors import RecipeError


class Problems:
    """Takes what is wrong with a corpus, one line each.

    Args:
        keep_going: print each and continue with what is good; :meth:`finish` then raises. Otherwise
            the first one raises.
    """

    def __init__(self, keep_going: bool = False) -> None:
        self.keep_going = keep_going
        self.reported: set[str] = set()

    def add(self, text: str) -> None:
        """Report one: list, line and file, and what is wrong. Each is reported once.

        Raises:
            RecipeError: unless ``keep_going``.
        """
        if not self.keep_going:
            raise RecipeError(text)
        if text not in self.reported:
            self.reported.add(text)
            print(text, file=sys.stderr)

    def finish(self, where: str, advice: str = "") -> None:
        """End the search.

        Raises:
            RecipeError: with their number and the advice, when there were any.
        """
        if self.reported:
            raise RecipeError(f"{where}: {len(self.reported)} problems, see above{advice}")
