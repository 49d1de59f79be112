// Inviting and confirming: what can be wrong with it.
import type { Words } from "../work/stopped";

const words = (text: string, remedy = ""): Words => ({ text, remedy });

export const invitingText = {
  noRole: (person: string) => words(`${person} is new and has no role.`, "Choose at least one role."),
  notSynced: (device: string) =>
    words(`${device} is not a device with a synced key, so it cannot have a second passkey.`, "Invite a further device instead, and seal again what it shall open."),
  gone: () => words("This invite is over.", "Make a new one. Nobody has joined by it."),
  notJoined: (who: string) => words(`${who} has not opened the link yet.`, "Wait until their screen shows five words."),
  elsewhere: (who: string) => words(`The invite for ${who} was not made in this browser, which alone knows what the words must be.`,
    "Confirm it where it was made, or make a new one here."),
  subject: () => words("The relay gave another name to this invite.", "Cancel it and make a new one. Nothing was signed."),
  wordCount: (count: number, wanted: number) =>
    words(`These are ${count} words.`, wanted === 5 ? "Type the first five of the joiner's screen." : `Type all ${wanted} of the new machine's screen.`),
  wrongWords: () => words("The words are not those of the keys that arrived here. Nothing was signed.",
    "Read them again from the joiner's own screen. If they still differ, somebody swapped the keys: cancel, and make a new invite."),
  noKem: () => words("The joiner sent no key to seal to.", "Let them open the link as it stands."),
  proof: () => words("The joiner could not open what was sealed to its key. Nothing was signed.", "Make a new invite."),
  silent: () => words("The joiner's screen does not answer.", "Keep it open on their side, then confirm again."),
  noFingerprint: () => words("The relay gave no CA certificate.", "Tell whoever runs it. No invite was made."),
  linkForm: () => words("This is not the link of an invite.", "Paste the whole link, from https on."),
  linkOrg: () => words("This link belongs to another organisation or relay.", "Paste the link that opens this address."),
  linkOther: () => words("This link is not for a passkey of this very device.", "The administrator makes one on the page of this device."),
  notHandedOver: (who: string) => words(`The machine of ${who} that has the key has not handed it over yet. Nothing was signed.`,
    "There, on the page of the device, “Hand the key over” takes this same link and all twelve words."),
  noKey: () => words("This browser does not hold the key of this device.", "Do it on the machine that joined with it."),
} as const;
