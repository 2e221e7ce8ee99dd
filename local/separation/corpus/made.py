"""What a stage has made in a folder: kept in a list, so that nothing else is ever removed.

Entry points: :class:`Made`, and :func:`check_apart` for folders that must not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from separation.errors import RecipeError
from separation.files import PARTIAL, atomic_path


class Made:
    """The files and links that the recipe has made below a folder, by their paths in it.

    The list is written before the files are, so a run that is killed leaves none that is not in it.

    Args:
        folder: whose files are listed, in ``.made.<its name>`` beside it.
        before: what earlier versions of the recipe, which kept no list, have made.
    """

    def __init__(self, folder: Path, before: Iterable[str] = ()) -> None:
        self.folder, self.path = folder, folder.with_name(f".made.{folder.name}")
        self.names = set(before)
        if self.path.is_file():
            self.names = set(self.path.read_text(encoding="utf-8", errors="replace").split("\0"))
        self.names.discard("")

    def add(self, names: Iterable[str]) -> None:
        """List what is about to be made."""
        self.names |= set(names)
        self._write()

    def remove(self, keep: Iterable[str] = ()) -> None:
        """Remove what is listed and not to be kept, and folders that are empty then."""
        kept = set(keep)
        for partial in self.folder.rglob(f"{PARTIAL}*"):  # of a run that was killed
            partial.unlink(missing_ok=True)
        for name in sorted(self.names - kept):
            self._remove(name)
        self.names &= kept
        self._write()

    def foreign(self) -> list[str]:
        """Files and links below the folder that are not listed."""
        below = (path for path in self.folder.rglob("*") if path.is_symlink() or path.is_file())
        found = {path.relative_to(self.folder).as_posix() for path in below}
        return sorted(n for n in found - self.names if not Path(n).name.startswith(PARTIAL))

    def _remove(self, name: str) -> None:
        path = self.folder / name
        # A list that somebody has changed, or a folder exchanged for a link, leads nowhere else.
        inside = path.parent.resolve().is_relative_to(self.folder.resolve())
        if not inside or not (path.is_symlink() or path.is_file()):
            return
        path.unlink()
        for parent in path.relative_to(self.folder).parents:
            place = self.folder / parent
            if place == self.folder or place.is_symlink() or any(place.iterdir()):
                break
            place.rmdir()

    def _write(self) -> None:
        with atomic_path(self.path) as temporary:
            temporary.write_text("\0".join(sorted(self.names)), encoding="utf-8")


def check_apart(corpus_dir: Path, data_dir: Path) -> None:
    """Raise a :class:`RecipeError` if recordings and the folder that stages write overlap.

    Links are resolved; neither may lie in the other.
    """
    theirs, ours = corpus_dir.resolve(), data_dir.resolve()
    if theirs.is_relative_to(ours) or ours.is_relative_to(theirs):
        raise RecipeError(
            f"--corpus_dir {corpus_dir}: overlaps with {data_dir}, where the recipe writes; move"
            " the recordings to a folder of their own"
        )
