"""Ways to spoil a file, and the check that a program refuses it.

A row of a table is a bad input: how it is made, and words of the line that names it.
"""

import os


def progress(line):
    return "mixture" in line and ("it/s" in line or "%|" in line or "mixture/s" in line)


def everything(folder):
    """Each file below a folder with its content; all but files that are for locks only."""
    return {
        path: path.read_bytes() if path.is_file() else "no file"
        for path in folder.rglob("*")
        if not path.name.endswith(".lock")
    }


def check_refused(run, script, arguments, says, root):
    """The command ends with one line that has these words, and leaves all as it was."""
    before = everything(root)
    status, line, others = run(script, arguments)
    assert status == 1, (status, others)
    assert line.startswith("error: ")
    assert "\n" not in line
    assert len(line) < 3000
    for words in says.split(" ... "):
        assert words in line
    assert others == []
    after = everything(root)
    assert sorted(after.keys() ^ before.keys()) == []
    assert [path for path in before if after[path] != before[path]] == []


def rewrite(change):
    """Change the text of a file."""

    def spoil(path):
        path.write_text(change(path.read_text()))

    return spoil


def encode(encoding):
    def spoil(path):
        path.write_bytes(path.read_text().replace(",", "ë,", 1).encode(encoding))

    return spoil


def cells(**values):
    """Set cells of the first row of a CSV file."""

    def change(text):
        header, first, *rest = text.splitlines()
        row = dict(zip(header.split(","), first.split(","), strict=True))
        return "\n".join([header, ",".join((row | values).values()), *rest, ""])

    return rewrite(change)


def without(column):
    """Drop a column of a CSV file."""

    def change(text):
        rows = [line.split(",") for line in text.splitlines()]
        place = rows[0].index(column)
        return "".join(",".join(row[:place] + row[place + 1 :]) + "\n" for row in rows)

    return rewrite(change)


def longer(text):
    header, first, *rest = text.splitlines()
    return "\n".join([header, first + ",extra", *rest, ""])


def shorter(text):
    header, first, *rest = text.splitlines()
    return "\n".join([header, first.rpartition(",")[0], *rest, ""])


def twice(text):
    header, first, *rest = text.splitlines()
    return "\n".join([header, first, first, *rest, ""])


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path)


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


def content(data):
    return lambda path: path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# What may be wrong with any file, and words of the line.
NO_FILE = {
    "missing": (lambda path: path.unlink(), "no such file"),
    "folder": (folder, "a folder"),
    "pipe": (pipe, "a pipe"),
    "loop of links": (loop, "oo many levels of symbolic links"),
    "link to nothing": (dangling, "a link to no"),
}
# What may be wrong with any CSV file.
NO_TABLE = {
    "Latin-1": (encode("latin-1"), "not a text file"),
    "UTF-16": (encode("utf-16"), "not a text file"),
    "UTF-16 without a mark": (encode("utf-16-le"), "not a text file"),
    "NUL": (rewrite(lambda text: text[:-9] + "\0" + text[-9:]), "NUL"),
    "huge field": (rewrite(lambda text: text + "x" * 200_000 + "\n"), "field larger than"),
    "too long a row": (rewrite(longer), ":2: ... cells, but"),
    "too short a row": (rewrite(shorter), ":2: ... cells, but"),
    "doubled column": (
        rewrite(lambda text: "\n".join(f"{x},{x.split(',')[0]}" for x in text.splitlines())),
        "is there twice",
    ),
}
