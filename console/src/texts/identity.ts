// What the daemon of a host must be told of an agent that lives there.
export const identityText = {
  title: "Which callers are this agent",
  where: (host: string) =>
    `The daemon on ${host} must be told. Add this to identities.toml in its home, or to the file that its --identities names, such as /etc/stillvault/identities.toml:`,
  entry: (client: string, name: string) =>
    [
      "[[identity]]", `client = "${client}"`, `# readlink -f "$(command -v ${name})"`, `exe = "/usr/bin/${name}"`, "# id -u, in its account",
      "uid = 1000",
    ].join("\n"),
  how: "Put in the program and the account that are true there. A program that an interpreter runs (node, python3, bash) is that interpreter to the daemon: name an account, a unit or a container that is the agent's alone. Without an entry that holds, the program asks as the host. stillvault whoami, run by the agent, says which entry was met.",
  copy: "Copy entry",
  help: "Help on agents",
} as const;
