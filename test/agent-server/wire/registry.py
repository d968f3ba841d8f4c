"""The checks, by their sentences."""

CHECKS = {}


def check(sentence):
    def register(function):
        assert sentence not in CHECKS, sentence
        CHECKS[sentence] = function
        return function

    return register
