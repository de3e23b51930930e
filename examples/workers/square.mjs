// A complete worker in Node. By hand: node square.mjs, then type: 7 square 12
const say = (message) => process.stdout.write(`\u001e${message}\n`);
say(`ready 1 ${JSON.stringify({ pid: process.pid, tasks: ["square"] })}`);
let half = ""; // of a line; what the end of the input cuts short is not run
for await (const part of process.stdin.setEncoding("utf8")) {
  const lines = (half + part).split("\n");
  half = lines.pop();
  for (const line of lines) {
    const [id, task, ...rest] = line.split(" ");
    const argument = rest.join(" ");
    if (id === "recall") continue; // it never holds a request that it has not started
    if (task !== "square") say(`${id} err unknown_task "only square"`);
    else if (!/^-?\d+$/.test(argument)) say(`${id} err bad_argument "a whole number"`);
    else say(`${id} ok ${BigInt(argument) ** 2n}`);
  }
}
