#!/usr/bin/python3
"""Runs the tests of this folder, those whose name contains TEST if that is set, and says how many passed.

With TALLY=FILE the sums are added to that file, and what failed to FILE.failures, as tools/test.sh does.
"""

import os
import sys
import unittest


class Verdicts(unittest.TextTestResult):
    """Counts tests and failures of a whole class's preparation alike."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def tell(path, passed, failed, reports):
    """A test's name and the last line of its traceback."""
    with open(path, "a", encoding="utf-8") as tally:
        tally.write(f"{passed} {failed}\n")
    with open(path + ".failures", "a", encoding="utf-8") as failures:
        for test, traceback in reports:
            failures.write(f"kubernetes: FAIL {test.id()}: {traceback.strip().splitlines()[-1]}\n")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    loader = unittest.TestLoader()
    if os.environ.get("TEST"):
        loader.testNamePatterns = [f"*{os.environ['TEST']}*"]
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Verdicts)
    result = runner.run(loader.discover(here))
    failed = len(result.failures) + len(result.errors)
    if os.environ.get("TALLY"):
        tell(os.environ["TALLY"], result.passed, failed, result.failures + result.errors)
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: {reason}")
    print(f"kubernetes: {result.passed} tests passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed or not result.testsRun + len(result.skipped) else 0


if __name__ == "__main__":
    sys.exit(main())
