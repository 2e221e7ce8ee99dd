"""Answers of web servers, as requests gives them, without a network."""


class Answer:
    """To a request with ``stream=True``: a content in one piece, and the length it says it has."""

    status_code = 200

    def __init__(self, content, length):
        self.content, self.headers = content, {"Content-Length": length}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def raise_for_status(self):
        pass

    def iter_content(self, size):
        yield self.content
