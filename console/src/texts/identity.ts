// What the daemon of a host must be told of an agent that lives there.
export const identityText = {
  title: "Which callers are this agent",
  where: (host: string) =>
    `The daemon on ${host} must be told. Add this to identities.toml in its home, or to the file that it is started with, such as /etc/stillvault/identities.toml for stillvault daemon --system --identities /etc/stillvault/identities.toml:`,
  entry: (client: string, name: string) =>
    `[[identity]]\nclient = "${client}"\nexe = "/usr/bin/${name}"   # what readlink -f "$(command -v ${name})" prints\nuid = 1000   # of the account that it runs in, as id -u prints it`,
  how: "Put in the program and the account that are true there. A program that an interpreter runs (node, python3, bash) is that interpreter to the daemon: name an account, a unit or a container that is the agent's alone. Without an entry that holds, the program asks as the host. stillvault whoami, run by the agent, says which entry was met.",
  copy: "Copy entry",
  help: "Help on agents",
} as const;
