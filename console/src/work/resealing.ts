// Sealing again for other devices (protocol 6, 11): each value comes to this page by a logged `reseal` request, all of one run as
// one card; the person's own approval counts. A secret that needs one approval is done at once, a quorum's waits for the others
// until the requests end. What was done stays done: `run` may be called again after any error and goes on where it stopped.
//
// Each new seal is signed by the passkey, so each is a ceremony. A value lives in this page from its release to its new seal, and
// is overwritten then.
import { ApiError } from "../api";
import type { Account } from "../device/account";
import { checkPrompt } from "../protocol/approver";
import { openReleases, verifyDenied } from "../protocol/client";
import { encode } from "../protocol/encoding";
import { Refused } from "../protocol/error";
import type { Pair, Signed } from "../protocol/objects";
import { seal as sealValue } from "../protocol/seal";
import { b64, unb64 } from "../protocol/text";
import { resealText } from "../texts/resealing";
import { makeCards, factOf } from "./approving/card";
import { approve } from "./approving/decide";
import { openClient, raise, type Raised, type ReleaseClient } from "./reseal-client";
import type { Floor } from "./roster";
import type { Seal } from "./seals";
import { Stopped } from "./stopped";

const CARD = 50; // requests of one card
const POLL = 700; // milliseconds
const ENDED = ["expired", "cancelled", "failed", "revoked"];

export type JobState = "ready" | "waiting" | "sealed" | "denied" | "unavailable" | "expired" | "cancelled" | "failed" | "revoked";
export type Step = "unlock" | "ask" | "approve" | "wait" | "seal" | "done";

/** One secret on its way to a new seal. */
export interface Job {
  readonly seal: Seal;
  state: JobState;
  approvals: number;
  needed: number;
  raised?: Raised;
  answered?: boolean; // this device has said its yes, or cannot
}

/** The relay's row of a request; what it holds is verified before it is used. */
interface RequestRow {
  state: string;
  approvals?: number;
  needed?: number;
  decisions?: Signed[];
  releases?: Signed[];
  secret?: Signed;
  ciphertext?: string;
}

export type Told = (step: Step, jobs: readonly Job[]) => void;

export class Resealing {
  readonly jobs: Job[];
  readonly #account: Account;
  readonly #told: Told;
  readonly #sealed: (floor: Floor) => Promise<void>;
  #client: ReleaseClient | undefined;

  /** `sealed` hears of each new seal before the next is begun: a removal writes it down. */
  constructor(account: Account, seals: readonly Seal[], told: Told, sealed: (floor: Floor) => Promise<void> = async () => {}) {
    this.#account = account;
    this.#told = told;
    this.#sealed = sealed;
    this.jobs = seals.map((seal) => ({ seal, state: "ready", approvals: 0, needed: seal.payload.core.policy.threshold }));
  }

  get left(): Job[] {
    return this.jobs.filter((one) => one.state !== "sealed");
  }

  /** Until everything is sealed, or has ended, or `signal` says stop. Raises what went wrong; then it may be called again. */
  async run(signal?: AbortSignal): Promise<void> {
    for (const job of this.left) if (!this.#stands(job)) this.#again(job);
    while (this.left.some((one) => one.state === "ready" || one.state === "waiting")) {
      const card = this.left.filter((one) => one.state === "waiting" || one.state === "ready").slice(0, CARD);
      await this.#ask(card.filter((one) => one.state === "ready"));
      await this.#approveOwn(card.filter((one) => !one.answered));
      await this.#collect(card, signal);
      if (signal?.aborted) return;
    }
    this.#told("done", this.jobs);
  }

  #stands(job: Job): boolean {
    return job.state === "waiting" && job.raised !== undefined && this.#account.now() < job.raised.expires;
  }

  #again(job: Job): void {
    job.state = "ready";
    job.approvals = 0;
    delete job.raised;
    delete job.answered;
  }

  async #ask(jobs: Job[]): Promise<void> {
    if (!this.#client) {
      this.#told("unlock", this.jobs);
      this.#client = await openClient(this.#account);
    }
    if (!jobs.length) return;
    this.#told("ask", this.jobs);
    const raised = await raise(
      this.#account,
      this.#client,
      jobs.map((one) => one.seal),
    );
    jobs.forEach((job, at) => {
      const one = raised[at];
      if (one) Object.assign(job, { raised: one, state: "waiting" });
    });
  }

  /** This device's own approval, where it has a stanza. It counts (section 6). */
  async #approveOwn(jobs: Job[]): Promise<void> {
    const client = this.#client;
    if (!client || !jobs.length) return;
    this.#told("approve", this.jobs);
    const account = this.#account;
    const trust = await account.trust();
    const facts = [];
    for (const job of jobs) {
      if (!job.raised) continue;
      try {
        const lowest = await account.memory.highest(job.seal.path);
        const prompt = await checkPrompt(
          trust,
          [account.person, account.device],
          client.signedCert,
          job.raised.request,
          job.seal.signed,
          false,
          lowest,
          account.now(),
        );
        facts.push(factOf(prompt, trust.selectPolicy(job.seal.path), []));
      } catch (error) {
        // Others must release it to us.
        if (!(error instanceof Refused && ["not-recipient", "not-approver", "tier", "device"].includes(error.code))) throw error;
      }
    }
    for (const card of await makeCards(facts)) {
      try {
        await approve(account, [card]);
      } catch (error) {
        // Others were faster, or the first try was taken and its answer lost: just as well.
        if ((error as { code?: string }).code !== "already-decided") throw error;
      }
    }
    for (const job of jobs) job.answered = true;
  }

  async #collect(jobs: Job[], signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      for (const job of jobs) if (job.state === "waiting" && !signal?.aborted) await this.#look(job);
      if (jobs.every((one) => one.state !== "waiting") || signal?.aborted) return;
      this.#told("wait", this.jobs);
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  async #look(job: Job): Promise<void> {
    const { raised } = job;
    if (!raised || !this.#client) return;
    const row = await this.#client.api.get<RequestRow>(`/v1/requests/${raised.oid}`);
    job.approvals = row.approvals ?? 0;
    job.needed = row.needed ?? job.needed;
    if (["approved", "delivered"].includes(row.state) && row.releases?.length) await this.#sealAgain(job, raised, row);
    else if (row.state === "denied") job.state = (await this.#isDenied(job, raised, row)) ? "denied" : "unavailable";
    else if (ENDED.includes(row.state)) job.state = row.state as JobState;
    else if (this.#account.now() >= raised.expires) job.state = "expired";
  }

  /** The relay's bare word is no denial (section 8). */
  async #isDenied(job: Job, raised: Raised, row: RequestRow): Promise<boolean> {
    const trust = await this.#account.trust();
    return (await verifyDenied(trust, raised.request, job.seal.signed, row.decisions ?? [], this.#account.now())) !== undefined;
  }

  async #sealAgain(job: Job, raised: Raised, row: RequestRow): Promise<void> {
    const account = this.#account;
    if (!row.secret || !row.ciphertext) throw new Stopped("bad-answer", resealText.badAnswer());
    const trust = await account.trust(true);
    const { path } = job.seal;
    const seen = await account.memory.highest(path);
    const opened = await openReleases(
      trust,
      raised.request,
      raised.ephemeral,
      row.secret,
      unb64(row.ciphertext),
      row.releases ?? [],
      seen,
      account.now(),
    );
    this.#told("seal", this.jobs);
    try {
      const { core } = opened.secret.payload;
      const version: Pair = [core.version, core.revision + 1];
      const by: [string, string] = [account.person, account.device];
      const made = await sealValue(
        trust,
        account.signer(),
        by,
        path,
        opened.value,
        version,
        b64(opened.secret.oid),
        account.now(),
        (length) => crypto.getRandomValues(new Uint8Array(length)),
      );
      await this.#upload(path, version, made.secret, made.ciphertext, b64(made.oid));
      job.state = "sealed";
      await this.#sealed([path, ...version]);
    } finally {
      opened.value.fill(0);
    }
    await this.#receipt(raised, b64(opened.secret.oid));
  }

  async #upload(path: string, version: Pair, secret: Signed, ciphertext: Uint8Array, oid: string): Promise<void> {
    let stored: { oid: string };
    try {
      stored = await this.#account.api.post("/v1/secrets", { secret, ciphertext: b64(ciphertext) });
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) throw new Stopped("conflict", resealText.conflict(path));
      throw error;
    }
    await this.#account.memory.sawHighest(path, version);
    if (stored.oid !== oid) throw new Stopped("bad-answer", resealText.stored(path));
  }

  async #receipt(raised: Raised, secret: string): Promise<void> {
    const client = this.#client;
    if (!client) return;
    const receipt = { org: this.#account.org, request: raised.oid, secret, result: "delivered", issued: this.#account.now() };
    try {
      await client.api.post("/v1/receipts", { objects: [await client.key.sign("receipt", encode(receipt))] });
    } catch {
      // the seal stands; the request ends by itself
    }
  }
}
