// What went wrong between this page and the relay.
export const api = {
  unreachable: "The relay does not answer",
  unreachableRemedy: "Nothing was changed that you did not see change. Check the network, then try again.",
  strange: "The relay answered in a form that this console does not read",
  strangeRemedy: "The console and the relay may be of different versions: reload the page.",
} as const;
