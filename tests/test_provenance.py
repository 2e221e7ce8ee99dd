"""What an experiment notes of where it comes from."""

import subprocess

from separation import provenance


def test_the_commit_tells_of_changes_but_not_of_results(tmp_path, monkeypatch):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)

    recipe = tmp_path / "a recipe"
    (recipe / "results").mkdir(parents=True)
    (recipe / "code.py").write_text("1")
    (recipe / "results" / "RESULTS.md").write_text("1")
    monkeypatch.setattr(provenance, "ROOT", recipe)
    assert provenance.commit_name() == ""
    git("init", "-q")
    assert provenance.commit_name() == ""  # no commit yet
    git("add", ".")
    git("commit", "-q", "-m", "one")
    name = provenance.commit_name()
    assert len(name) >= 7
    assert name.isalnum()
    (recipe / "results" / "RESULTS.md").write_text("2")
    (recipe / "untracked").write_text("2")
    assert provenance.commit_name() == name
    (recipe / "code.py").write_text("2")
    assert provenance.commit_name() == f"{name}-dirty"
