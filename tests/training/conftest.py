"""A small corpus for trainings."""

import pytest

from tiny_corpus import make_corpus


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder
