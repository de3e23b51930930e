"""Chapter 30's filter inside Spark, in local mode: the sum of the squares from 1 to 1000, and a worker
that fails.

Run it by hand, where Python has pyspark and there is a Java:
    cargo build --example ch30_remote && python3 tests/remote/spark.py target/debug/examples/ch30_remote
"""

import os
import sys

from pyspark import SparkContext

worker = os.path.abspath(sys.argv[1]) + " --filter square"
context = SparkContext("local[2]", "concurrent-explained")
context.setLogLevel("OFF")

numbers = context.parallelize(range(1, 1001), 8).map(str)
# The environment of a piped program is empty unless it is given one, and without checkCode a worker
# that fails is a short result.
squares = numbers.pipe(worker, env=dict(os.environ), checkCode=True).map(int).collect()
assert len(squares) == 1000, len(squares)
assert sum(squares) == 333_833_500, sum(squares)
print("the sum of the squares from 1 to 1000 is", sum(squares))

bad = context.parallelize(["1", "two", "3"], 1)
short = bad.pipe(worker, env=dict(os.environ)).collect()
assert short == ["1", "9"], short
print("without checkCode a failure is a short result:", short)

for command, what in [(worker, "a line that fails"), ("sh -c 'kill -9 $$'", "a worker that is killed")]:
    try:
        bad.pipe(command, env=dict(os.environ), checkCode=True).collect()
    except Exception as error:  # Spark's own, which wraps the exit status
        assert "exited" in str(error), error
        print(what, "is an error with checkCode")
    else:
        raise AssertionError(f"{what} was not noticed")
