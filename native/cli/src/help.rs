//! What the command line says about itself. 80 columns, no colour.

/// `stillvault --version`.
pub const VERSION: &str = concat!("stillvault ", env!("CARGO_PKG_VERSION"), "\n");

/// `stillvault help`.
pub const MAIN: &str = "\
stillvault: a secret reaches a program only after a person saw who asks and
said yes.

Secrets
  read sv://PATH            one value to standard output
  run -- CMD ..             a command with values in its environment
  inject -i TEMPLATE -o F   a file from a template
  wait HANDLE               what was asked with --detach
  credential HELPER         for git, aws, docker, podman, systemd
  leases [purge [PATH]]     what this user may read without asking again
  whoami                    who the daemon takes you for
  seal PATH                 seal a value for the people of its policy
  secrets [PREFIX]          names and versions, never values
  requests, cancel ID       what is being asked now
  daemon                    the client on this host

Agents
  skill, hook, init, scan   teach them, keep values from them
  mcp                       tools for them, on standard input and output

Approving
  inbox                     what waits for you
  approve, deny, freeze     your decision

Organisation
  org, person, client       who belongs to it
  policy, hold, reseal      the rules
  join, invites, confirm    how somebody joins
  recover                   open secrets with the recovery keys on paper
  audit                     what happened

  doctor                    what is wrong here, and what to do about it

Every verb takes --format text|json and --no-input.
More: stillvault help VERB, stillvault help exit-codes
";

/// `stillvault help read`.
pub const READ: &str = "\
stillvault read sv://PATH[#FIELD] [-n] [--out-file F [--mode 0600] [--force]]
                [--reveal] [--reason TEXT] [--ttl 5m] [--wait 1h]
                [--window 5m] [--uses N] [--detach | --dry-run]

Prints one value, raw: exactly the bytes that were sealed. To a terminal only
with --reveal, and then with a line end unless -n is given. Ctrl-C withdraws.
#FIELD is one field of a value that is a JSON object or lines of NAME=value.

  --out-file F    write a new file instead, whole or not at all
  --mode 0600     its permissions
  --force         replace a file that exists (never a link)
  --reason TEXT   shown to the people asked, as your claim
  --ttl 5m        how long the request lives (at most 1h)
  --wait 1h       how long to wait for an answer
  --window 5m     the longest lease to ask for (0s: none); people can shorten it
  --uses N        how often it may be used, likewise
  --detach        print a handle at once; fetch the value with stillvault wait
  --dry-run       print what would be asked of whom, and ask nobody
  --format json   the value as text, or base64url where it is not UTF-8
";

/// `stillvault help run`.
pub const RUN: &str = "\
stillvault run [--env NAME=sv://PATH].. [--env-file F].. [--no-masking]
               [--reason TEXT] [--ttl 5m] [--wait 1h] [--window 5m] [--uses N]
               [--detach | --handle HANDLE] [--dry-run] -- CMD ..

Runs CMD with values in its environment, all asked for at once on one card.
References come from the environment itself (a variable whose whole value is
sv://PATH or sv://PATH#FIELD), from each --env-file, and from --env; the later
wins.

Values in what CMD prints are replaced, also as base64, hex, URL-encoded or in
JSON. That is a seat belt, not a wall: it finds values of 6 bytes and more in
these forms only, and CMD's output is a pipe, not a terminal. --no-masking
becomes CMD itself, with the terminal and nothing in between.

CMD inherits the rest of the environment as it is, LD_PRELOAD, PYTHONPATH and
the like included; of STILLVAULT_* only HOME, SOCKET, FORMAT and NO_INPUT.

  --file NAME=sv://PATH   the value as a file in memory that CMD inherits; NAME
                          is its path. For programs that read a file
  --dry-run       print what would be asked of whom, and ask nobody
  --detach        ask for what CMD needs, print a handle at once, run nothing
  --handle H      use the values of that handle; it must hold what CMD needs
  --window, --uses  the lease to ask for, as for read
Exit code: CMD's own; 125 when Stillvault failed after the release; 126 when
CMD cannot be executed, 127 when there is none; 128 + n after signal n.
";

/// `stillvault help inject`.
pub const INJECT: &str = "\
stillvault inject -i TEMPLATE -o FILE [--mode 0600] [--force]
                  [--reason TEXT] [--ttl 5m] [--wait 1h] [--window 5m]
                  [--uses N] [--detach | --handle HANDLE] [--dry-run]

Writes FILE from TEMPLATE with each {{ sv://PATH }} or {{ sv://PATH#FIELD }}
replaced by the value, byte for byte; everything else stays as it is. FILE
appears whole or not at all.

  --mode 0600     its permissions
  --force         replace a file that exists (never a link)
  --detach        ask for what FILE needs, print a handle at once, write nothing
  --handle H      use the values of that handle; it must hold what FILE needs
  --dry-run       print what would be asked of whom, and ask nobody
";

/// `stillvault help wait`.
pub const WAIT: &str = "\
stillvault wait HANDLE [-n] [--out-file F [--mode 0600] [--force]] [--reveal]
                [--wait 25s]
stillvault wait HANDLE --state [--wait 25s]

Waits until people have decided what was asked with --detach, and prints the
value as read does, once. The same exit codes; 11 with `pending` when the time
of --wait is over first: that is no denial, the handle stands, come back.

A handle is of the task that asked: the agent as the host's identities.toml
names it, else the session. It ends with that task, or with the request.
Ctrl-C leaves it as it is; stillvault cancel HANDLE withdraws it.

  --state         say how it stands and take nothing: pending, ready,
                  delivered, or ended with the reason
  --wait 25s      how long to wait at most; 0s is a look without waiting.
                  Without it until it is decided
Values of several secrets go to a command: stillvault run --handle HANDLE ..
or into a file: stillvault inject --handle HANDLE ..
";

/// `stillvault help credential`.
pub const CREDENTIAL: &str = "\
stillvault credential git --ref REF [--for URL].. [--username NAME] get
stillvault credential aws --ref REF
stillvault credential aws --id-ref REF --key-ref REF [--token-ref REF]
stillvault credential docker [--map F] get|list
stillvault credential podman [--dir D] store|lookup|list|delete
stillvault credential systemd [--map F] [--socket S]

Answers in the protocol of another program, which is the one that people are
shown. REF is sv://PATH or sv://PATH#FIELD. Without a field, a JSON object or
NAME=value lines may hold user name and password, or the parts of an AWS key.

  git      for git config credential.https://HOST.helper; also installed as
           git-credential-stillvault. --for binds it to URLs beyond that
  aws      for credential_process; Expiration is the end of the lease
  docker   installed as docker-credential-stillvault, for credHelpers of
           podman, skopeo, buildah. Lines of F: REGISTRY REF [username=NAME];
           ~/.config/stillvault/registries, else /etc/stillvault/registries
  podman   for the shell driver of podman secret; what is stored is a REF
  systemd  for LoadCredential=. Lines of F: UNIT CREDENTIAL REF;
           /etc/stillvault/systemd-credentials. A refusal fails the start

All take --reason, --ttl, --wait, --window and --uses as read does.
";

/// `stillvault help leases`.
pub const LEASES: &str = "\
stillvault leases
stillvault leases purge [PATH]

Shows what may be read now without asking a person again, or ends it: all of
it, or one secret's. A user sees and ends its own leases, root all.
";

/// `stillvault help whoami`.
pub const WHOAMI: &str = "\
stillvault whoami

Shows who the daemon takes the caller for: these are the facts that the people
who are asked will see.
";

/// `stillvault help exit-codes`.
pub const EXIT_CODES: &str = "\
0    ok
1    error (also: already decided, cancelled elsewhere)
2    usage
10   denied: a deny that verified
11   expired unanswered; approve --wait found nothing
12   no approver can answer
13   out of scope, forbidden by a policy, removal blocked
14   daemon or relay unreachable, or the relay refused without a signed word
15   untrusted: a check failed, named on standard error as untrusted: CODE
16   rate limited
130  interrupted

run: the command's own code; 125 when Stillvault failed after the release;
126 when the command cannot be executed, 127 when there is none.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wider_than_80_columns() {
        for text in [MAIN, READ, RUN, INJECT, WAIT, CREDENTIAL, LEASES, WHOAMI, EXIT_CODES] {
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }
}
