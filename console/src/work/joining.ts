// Joining in the browser: the new person's half of protocol 11. Nothing is sent before the person asks for it (C18), and
// nothing counts as joined before the roster that names this passkey has verified against the pin out of the link.
import { Api, ApiError } from "../api";
import { DeviceKeys, keep, signNew } from "../device/enrolling";
import { lockOf, unwrapKem, wrap, type Lock } from "../device/custody";
import { DeviceFault } from "../device/fault";
import { joiningBegun, keepJoining, type Identity, type Wrapped } from "../device/memory";
import { assert, create } from "../device/passkey";
import { b64, domain, unb64, type Bytes } from "../protocol/encoding";
import { enrolWords, HAND_OVER_WORDS, inviteTerms, parseInvite, proofInfo, type Invitation } from "../protocol/enrol";
import { opener, pairOfScalar, type Opener } from "../protocol/hpke";
import type { Device, Enrol, Pair, Person } from "../protocol/objects";
import { oidOf } from "../protocol/signed";
import { Trust } from "../protocol/trust";
import { device as words } from "../texts/device";
import { join as texts } from "../texts/join";

const WAIT = 20; // seconds of one long poll
const RETRY = 1_000; // milliseconds
const KEPT = 3600; // seconds until an interrupted joining is given up: the relay ends it within 30 minutes of the invite
const LATE = 10; // polls by which a confirmation may be ahead of its roster

/** GET /v1/invite: what the relay says of the invitation. For the screen; the roster decides. */
export interface Terms {
  kind: "person" | "client";
  subject: string;
  expires: number;
  roles?: string[];
  scopes?: string[];
  host?: string;
  grade?: string;
  device?: string;
}

interface EnrolState {
  state: "joined" | "challenged" | "proved" | "confirmed" | "cancelled" | "expired";
  challenge?: { enc: string; ct: string };
  transfer?: { enc: string; ct: string };
  trust?: { roots: unknown[]; roster: unknown };
}

export interface Opened {
  invitation: Invitation;
  invite: Bytes;
  bearer: string;
  terms: Terms;
  trust: Trust;
}

/** Reads the link: is it for this appliance, is it open, and what does it offer? Changes nothing anywhere. */
export async function openInvite(fragment: string): Promise<Opened> {
  let invitation: Invitation;
  try {
    invitation = parseInvite(fragment);
  } catch {
    throw new DeviceFault("join-url", texts.noLink, texts.noLinkText);
  }
  if (invitation.relay !== location.origin) {
    throw new DeviceFault("relay", texts.otherRelay(invitation.relay), texts.otherRelayText);
  }
  const pin = unb64(invitation.org);
  const { invite, bearer } = await inviteTerms(pin, unb64(invitation.nonce));
  const api = new Api({ bearer });
  try {
    const [terms, given] = await Promise.all([
      api.get<Terms>("/v1/invite"), api.get<{ roots: unknown[]; roster: unknown }>("/v1/trust"),
    ]);
    return { invitation, invite, bearer, terms, trust: await Trust.verify(pin, given.roots, given.roster, now()) };
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404, 409, 410].includes(error.status)) throw ended();
    throw error;
  }
}

export interface Joined {
  identity: Identity;
  person: Person;
  trust: Trust;
}

/** What an enrolment under way keeps in this browser, so that a reload does not end it: keys in their wrapped form, and the ticket,
 * which polls this one enrolment and opens nothing. The nonce is not among it. */
export interface Begun {
  invite: string;
  org: string;
  name: string; // of the organisation, verified
  rpId: string;
  seen: { roster: Pair; oid: string };
  /** As the relay said: the keys are wrapped for this person and count for nobody else. */
  person: string;
  credential: string;
  passkey: string; // its public key
  kem: string;
  deny: { pair: CryptoKeyPair; public: Bytes };
  wrapped: Wrapped[];
  enrol: string; // oid
  ticket: string;
  words: string[];
  begun: number;
}

/** The joining that this page can go on with: the one of its link, or of a page that was loaded again without it. */
export async function unfinished(fragment: string): Promise<Begun | undefined> {
  const kept = await joiningBegun<Begun>();
  if (!kept) return undefined;
  if (now() >= kept.begun + KEPT) {
    await forgetJoining();
    return undefined;
  }
  if (!fragment) return kept;
  try {
    const { org, nonce } = parseInvite(fragment);
    return b64((await inviteTerms(unb64(org), unb64(nonce))).invite) === kept.invite ? kept : undefined;
  } catch {
    return undefined; // `openInvite` says what is wrong with it
  }
}

/** Gives the interrupted joining up. */
export async function forgetJoining(): Promise<void> {
  await keepJoining(undefined);
}

/** An enrolment under way: the words, and what comes of it. */
export class Joining {
  readonly #api: Api;
  readonly #stop = new AbortController();

  private constructor(
    private readonly begun: Begun,
    private readonly kem: Opener,
    private readonly lock: Lock,
  ) {
    this.#api = new Api({ bearer: begun.ticket });
  }

  /** Five; for the machine that hands a key over twelve. */
  get words(): readonly string[] {
    return this.begun.words;
  }

  /** Makes passkey and keys, and posts the enrolment. Two ceremonies. */
  static async begin(opened: Opened, label: string): Promise<Joining> {
    const { invitation, trust, terms } = opened;
    const org = invitation.org;
    const { credential, key, prf } = await create({ org, rpId: trust.root.rp_id, person: terms.subject, label });
    prf.fill(0); // the ceremony that signs the enrolment gives the same again
    const keys = await DeviceKeys.generate();
    const enrol: Enrol = {
      org, invite: b64(opened.invite), name: label, auth: key, kem: keys.kem, deny: keys.deny, client: keys.client, issued: now(),
    };
    const { signed, lock } = await signNew({ credential, key }, org, "enrol", enrol);
    const oid = await oidOf(signed);
    const wrapped = await keys.wrapped(lock, { org, person: terms.subject, credential });
    let ticket: string;
    try {
      ({ ticket } = await new Api({ bearer: opened.bearer }).post<{ ticket: string }>("/v1/enrol", { enrol: signed }));
    } catch (error) {
      if (error instanceof ApiError && [401, 403, 404, 409, 410].includes(error.status)) throw ended();
      throw error;
    }
    const begun: Begun = {
      invite: enrol.invite, org, name: trust.root.name, rpId: trust.root.rp_id, seen: { roster: trust.pair, oid: b64(trust.oid) },
      person: terms.subject, credential, passkey: key.public, kem: keys.kem.public, deny: keys.denyHalf, wrapped,
      enrol: b64(oid), ticket, begun: enrol.issued,
      words: await enrolWords(oid, unb64(invitation.nonce), terms.device ? HAND_OVER_WORDS : undefined),
    };
    await keepJoining(begun);
    return new Joining(begun, opener(keys.kemHalf.pair, keys.kemHalf.public), lock);
  }

  /** Goes on with an interrupted one: one ceremony, which opens the keys. */
  static async resume(begun: Begun): Promise<Joining> {
    const { org, person, credential } = begun;
    const made = await assert(crypto.getRandomValues(new Uint8Array(32)), { org, rpId: begun.rpId, credentials: [credential] });
    if (!made.prf) throw new DeviceFault("no-prf", words.noPrfDetail, words.noPrfRemedy);
    const lock = await lockOf(made.prf, org);
    const kem = begun.wrapped.find((one) => one.kind === "kem");
    if (!kem) throw ended();
    return new Joining(begun, await unwrapKem(lock, { org, person, credential }, kem), lock);
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Waits until the administrator has confirmed; answers the proof, takes a key that is handed over. `told` hears how far it
   * is. */
  async finish(told: (step: "proved" | "transferred") => void): Promise<Joined> {
    try {
      const joined = await this.#finish(told);
      await forgetJoining();
      return joined;
    } catch (error) {
      if (error instanceof DeviceFault && error.code === "invite") await forgetJoining(); // over: there is nothing to go on with
      throw error;
    }
  }

  async #finish(told: (step: "proved" | "transferred") => void): Promise<Joined> {
    let proved = false;
    let handed: { scalar: Bytes; public: string } | undefined;
    for (let late = 0; ; ) {
      const state = await this.#poll();
      if (state.state === "expired" || state.state === "cancelled") throw ended();
      if (state.transfer && !handed) {
        handed = await this.#take(state.transfer);
        told("transferred");
      }
      if (state.state === "challenged" && state.challenge && !proved) {
        await this.#prove(state.challenge);
        proved = true;
        told("proved");
      }
      if (state.state === "confirmed") {
        const joined = await this.#joined(state, handed);
        if (joined) return joined;
        // The roster that names us may reach the relay's answers a moment after the confirmation does.
        if ((late += 1) > LATE) throw new DeviceFault("enrol", texts.notListed, texts.notListedRemedy);
      }
      if (state.state !== "joined") await pause(RETRY / 4);
    }
  }

  async #poll(): Promise<EnrolState> {
    for (;;) {
      try {
        return await this.#api.get<EnrolState>("/v1/enrol", { wait: WAIT }, this.#stop.signal);
      } catch (error) {
        if (error instanceof ApiError && [401, 403, 404, 410].includes(error.status)) throw ended();
        if (!(error instanceof ApiError) || (!error.offline && error.status < 500)) throw error;
        await pause(RETRY); // the relay may be restarting; the ticket stays good
      }
    }
  }

  async #prove({ enc, ct }: { enc: string; ct: string }): Promise<void> {
    const proof = await this.kem.open(proofInfo(), unb64(enc), unb64(ct));
    await this.#api.post("/v1/enrol/proof", { proof: b64(proof) });
  }

  /** The key of the device that this passkey is added to, out of what the other passkey sealed to us. */
  async #take({ enc, ct }: { enc: string; ct: string }): Promise<{ scalar: Bytes; public: string }> {
    const scalar = await this.kem.open(domain("enrol", "transfer", this.begun.enrol), unb64(enc), unb64(ct));
    return { scalar, public: b64((await pairOfScalar(scalar.slice())).public) };
  }

  /** Finds ourselves in what verified; believes nothing else. */
  async #joined(state: EnrolState, handed: { scalar: Bytes; public: string } | undefined): Promise<Joined | undefined> {
    const { org, seen, credential, passkey } = this.begun;
    const given = state.trust ?? (await this.#api.get<{ roots: unknown[]; roster: unknown }>("/v1/trust"));
    const trust = await Trust.verify(unb64(org), given.roots, given.roster, now(), { roster: seen.roster, oid: unb64(seen.oid) });
    const own = (device: Device) => device.auth.some((key) => key.public === passkey && key.credential === credential);
    for (const person of trust.roster.people) {
      const device = person.devices.find(own);
      if (!device) continue;
      // What this page said before the roster did was the relay's word, and the keys are wrapped for that name.
      if (person.id !== this.begun.person) {
        throw new DeviceFault("enrol", texts.otherPerson(person.id, this.begun.person), texts.otherPersonRemedy);
      }
      const owner = { org, person: person.id, credential };
      const identity: Identity = { ...owner, device: device.id, public: passkey };
      if (device.kem.public === this.begun.kem) await keep(identity, this.begun.wrapped, this.begun.deny);
      else await keep(identity, [await this.#wrapHanded(owner, device, handed)]);
      return { identity, person, trust };
    }
    return undefined;
  }

  async #wrapHanded(owner: { org: string; person: string; credential: string }, device: Device,
    handed: { scalar: Bytes; public: string } | undefined): Promise<Wrapped> {
    // The roster says whose key it must be: what the relay passed on is compared with that.
    if (!handed || handed.public !== device.kem.public) throw new DeviceFault("transfer", texts.wrongKey, texts.wrongKeyRemedy);
    const { pair, public: publicBytes } = await pairOfScalar(handed.scalar, true);
    handed.scalar.fill(0);
    return wrap(this.lock, owner, "kem", pair.privateKey, publicBytes);
  }
}

const now = () => Math.floor(Date.now() / 1000);
const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
const ended = () => new DeviceFault("invite", texts.ended, texts.endedText);
