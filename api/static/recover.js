// Asking for a recovery from an instance's page: first what would be done, then the act, then what becomes of it.
// The token goes into the request's header and nowhere else; that of a local API's link is page.js's to keep.
"use strict";

const POLL_MS = 1000;
const ASK_DEADLINE_MS = 20000;

// chosen: a pod starts within half a minute; a run that stands down before it books leaves no attempt to see.
const NO_ATTEMPT_MS = 45000;

// chosen: an attempt ends by itself within 300 s, its Job's own limit.
const LONGEST_MS = 330000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// What the API says to one question: its status and its JSON. Throws where there is no answer.
async function said(address, options) {
  const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(ASK_DEADLINE_MS), ...options });
  return { status: answer.status, told: await answer.json() };
}

class Asking {
  constructor(section) {
    this.section = section;
    this.isBusy = false;
    this.foreseen = null; // the wish of which the answer tells
    const template = section.querySelector("template.form");
    section.append(template.content.cloneNode(true));
    this.form = section.querySelector("form");
    this.act = this.form.querySelector(".act");
    this.answer = this.form.querySelector(".answer");
    this.progress = this.form.querySelector(".progress");
    this.field = this.form.querySelector(".token input");
    this.force = this.form.querySelector(".force");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.foresee();
    });
    this.act.addEventListener("click", () => this.recover());
    // What was shown is of another wish now.
    for (const input of [this.force, this.field]) input.addEventListener("input", () => this.forget());
    this.form.querySelector(".token").hidden = Boolean(this.keptToken());
  }

  keptToken() {
    return this.section.dataset.kind === "local" ? keptToken() : "";
  }

  forget() {
    this.foreseen = null;
    this.act.hidden = true;
    this.tell("");
  }

  tell(text, isRefused = false) {
    this.answer.textContent = text;
    this.answer.classList.toggle("refused", isRefused);
  }

  async post(wish) {
    const token = this.field.value.trim() || this.keptToken();
    if (!token) {
      this.field.focus();
      throw new Error("A token is needed; the line below its field says where to get one. Nothing was asked.");
    }
    if (!/^[\w.~+/-]+=*$/.test(token)) {
      this.field.focus();
      throw new Error("A token has letters, digits and -._~+/ alone, and = at its end. Nothing was asked.");
    }
    const { status, told } = await said(this.section.dataset.post, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify(wish),
    });
    if (status >= 400) throw this.refusal(status, told);
    return told;
  }

  refusal(status, told) {
    if (status === 401) {
      if (this.section.dataset.kind === "local") dropToken();
      this.form.querySelector(".token").hidden = false;
      this.field.value = "";
      // What follows the first clause is for programs.
      const [why] = told.detail.split(";");
      return new Error(`Refused (401): ${why}. The line below its field says where to get one. Nothing was started.`);
    }
    return new Error(`Refused (${status}): ${told.detail}.`);
  }

  // One question at a time. The buttons stay enabled, because a disabled one would lose the keyboard.
  async attempt(work) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.form.ariaBusy = "true";
    try {
      await work();
    } catch (error) {
      const isSilence = error.name === "TimeoutError" || error instanceof TypeError || error instanceof SyntaxError;
      this.tell(isSilence ? "No answer came, so it isn't known whether anything was started." : error.message, true);
    }
    this.form.ariaBusy = "false";
    this.isBusy = false;
  }

  foresee() {
    return this.attempt(async () => {
      this.forget();
      this.progress.hidden = true;
      this.tell("Asking what would be done…");
      const wish = { forceRecovery: this.force.checked };
      this.foreseen = wish;
      const told = await this.post({ ...wish, dryRun: true });
      if (this.foreseen !== wish) return; // somebody wished for something else meanwhile
      this.tell(told.message);
      if (!told.plan.due) return;
      this.act.textContent = `Do it now: ${told.plan.action}`;
      this.act.hidden = false;
    });
  }

  recover() {
    return this.attempt(async () => {
      this.answer.focus(); // the button that has the keyboard goes
      this.act.hidden = true;
      const wish = this.foreseen;
      const told = await this.post(wish);
      this.tell(told.message);
      await this.follow(told.job, wish);
    });
  }

  step(text) {
    const last = this.progress.lastElementChild;
    if (last && last.textContent === text) return;
    const item = document.createElement("li");
    item.textContent = text;
    this.progress.append(item);
  }

  // What holds this very wish back by now, as a clause; empty where nothing is known to.
  async held(wish) {
    const told = await this.post({ ...wish, dryRun: true }).catch(() => null);
    return told && !told.plan.due ? `; as things stand: ${told.plan.hold}: ${told.plan.detail}` : "";
  }

  async follow(job, wish) {
    this.progress.replaceChildren();
    this.progress.hidden = false;
    this.step("asked for");
    const began = performance.now();
    while (performance.now() - began < LONGEST_MS) {
      await sleep(POLL_MS);
      const { told } = await said(this.section.dataset.why).catch(() => ({ told: null }));
      const attempt = told?.recovery?.history?.find((one) => one.job === job);
      if (attempt) {
        this.step(`attempt ${attempt.id}, ${attempt.action}: ${attempt.actedAt ? "begun" : attempt.state}`);
        if (attempt.outcome) {
          this.step(`ended ${attempt.outcome}: ${attempt.detail}`);
          return;
        }
      } else if (performance.now() - began > NO_ATTEMPT_MS) {
        this.step(`no attempt was booked${await this.held(wish)}. The log of ${job} says what it found.`);
        return;
      }
    }
    this.step(`nothing more was heard within ${Math.round(LONGEST_MS / 1000)} s. The log of ${job} says what it found.`);
  }
}

// Also after a page that told of a problem in between, which had no such section.
function begin() {
  for (const section of document.querySelectorAll(".asking")) {
    if (section.querySelector("[data-kept]")) continue;
    if (location.pathname.includes("/proxy/")) section.append(section.querySelector(".proxied").content.cloneNode(true));
    else new Asking(section);
  }
}

document.addEventListener("shown", begin);
begin();
