# A complete worker in Python. By hand: python3 square.py, then type: 7 square 12
import json
import os
import sys

sys.stdin.reconfigure(encoding="utf-8", newline="\n")
sys.stdout.reconfigure(encoding="utf-8", newline="\n")
print("\x1eready 1 " + json.dumps({"pid": os.getpid(), "tasks": ["square"]}), flush=True)
for line in sys.stdin:
    if not line.endswith("\n"):  # the end of the input has cut it short: it is not run
        break
    if line.strip() == "recall":  # it never holds a request that it has not started
        continue
    id, task, argument = (line.rstrip("\n").split(" ", 2) + ["", ""])[:3]
    if task == "square":
        try:
            reply = "ok " + json.dumps(json.loads(argument) ** 2)
        except Exception as error:
            reply = "err panicked " + json.dumps(repr(error))
    else:
        reply = 'err unknown_task "only square"'
    print(f"\x1e{id} {reply}", flush=True)
