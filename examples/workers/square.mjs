// A complete worker in Node. By hand: node square.mjs, then type: 7 square 12
import { createInterface } from "node:readline";

const say = (message) => process.stdout.write(`\u001e${message}\n`);
say(`ready 1 ${JSON.stringify({ pid: process.pid, tasks: ["square"] })}`);
for await (const line of createInterface({ input: process.stdin })) {
  const [id, task, argument] = line.split(" ");
  if (id === "recall") continue; // it never holds a request that it has not started
  if (task !== "square") say(`${id} err unknown_task "only square"`);
  else if (!/^-?\d+$/.test(argument)) say(`${id} err bad_argument "a whole number"`);
  else say(`${id} ok ${BigInt(argument) ** 2n}`);
}
