// What all pages share: ages that run, a clock that turns loud, and a page that follows its source.
// Without this script a page shows times, and loads itself anew. Scripts of single pages build on the functions here.
"use strict";

const REFRESH_MS = 2000;
const DEADLINE_MS = 10000;

// chosen: a page that nobody sees keeps its title true, and costs little.
const HIDDEN_REFRESH_MS = 30000;

// chosen: two questions without an answer; one that is lost on the way is no alarm.
const LOST_AFTER_MS = 5000;

let shown = { address: "", etag: "" };
let asked = 0;
let askedAtMs = performance.now();
let askingSinceMs = null; // null while every question was answered
let clockOffsetMs = 0;
let answeredAt = new Date();
let title = document.title;

function spanInWords(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

// lead: what the time is of; of one that is still ahead, `in `.
function ageInWords(lead, ms) {
  if (lead === "for ") return lead + spanInWords(ms);
  if (lead === "in ") return ms < 0 ? lead + spanInWords(-ms) : `${spanInWords(ms)} ago`;
  return `${lead}${spanInWords(ms)} ago`;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tellAges() {
  const now = Date.now() + clockOffsetMs;
  for (const time of document.querySelectorAll("time[data-lead]")) {
    setText(time, ageInWords(time.dataset.lead, now - Date.parse(time.dateTime)));
    if (time.title !== time.dateTime) time.title = time.dateTime;
  }
}

// The worst that is known of the page's source: that it doesn't answer, what it says itself, that it says nothing new.
function tellFreshness() {
  const clock = document.querySelector(".clock");
  const newest = clock.querySelector("time");
  const ageMs = newest ? Date.now() + clockOffsetMs - Date.parse(newest.dateTime) : 0;
  const isLost = askingSinceMs !== null && performance.now() - askingSinceMs > LOST_AFTER_MS;
  const isOld = ageMs > Number(clock.dataset.freshMs);
  let word = clock.dataset.word;
  let alarm = "";
  if (isLost) {
    word = "no answer";
    alarm = `This page has lost its source. It was true at ${answeredAt.toISOString().slice(11, 19)} UTC.`;
  } else if (word === "live" && isOld && !document.hidden) {
    word = "nothing new";
    alarm = `Nothing new was observed for over ${spanInWords(Number(clock.dataset.freshMs))}.`;
  }
  setText(clock.querySelector("b"), word);
  clock.classList.toggle("loud", word !== "live");
  document.body.classList.toggle("is-lost", isLost);
  document.title = alarm ? "no live data · loco-health" : title;
  const banner = document.querySelector(".lost");
  setText(banner, alarm);
  banner.hidden = !alarm;
}

function tick() {
  tellAges();
  tellFreshness();
}

// The server's clock dates the observations, so ages are told by it. Its Date header counts whole seconds.
function setClock(answer) {
  const offsetMs = Date.parse(answer.headers.get("Date")) + 500 - Date.now();
  clockOffsetMs = Math.abs(offsetMs) > 2000 ? offsetMs : 0;
}

// What people or scripts have set, and no answer of the server takes away.
const OWN_ATTRIBUTES = new Set(["open", "tabindex"]);

function identity(node) {
  return node.dataset?.id ? `#${node.dataset.id}` : node.nodeName;
}

function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !(OWN_ATTRIBUTES.has(name) && old.hasAttribute(name))) {
      old.setAttribute(name, value);
    }
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !OWN_ATTRIBUTES.has(name)) old.removeAttribute(name);
  }
}

function morphChildren(old, fresh) {
  const left = new Map();
  for (const node of old.childNodes) {
    if (node.dataset?.kept !== undefined) continue;
    const key = identity(node);
    if (!left.has(key)) left.set(key, []);
    left.get(key).push(node);
  }
  const pairs = [...fresh.childNodes].map((wanted) => [wanted, left.get(identity(wanted))?.shift()]);
  for (const nodes of left.values()) for (const node of nodes) node.remove();
  let at = old.firstChild;
  for (const [wanted, kept] of pairs) {
    if (kept && kept === at) at = at.nextSibling;
    else old.insertBefore(kept || wanted, at);
    if (kept) morph(kept, wanted);
  }
}

// Make `old` say what `fresh` says, and keep each element that stays: its focus, its picture, what was folded open.
// Children are told apart by data-id, or by their kind and order. What bears data-kept is a script's own.
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const isAge = old.localName === "time" && old.dataset.lead === fresh.dataset.lead;
  if (isAge && old.dateTime === fresh.dateTime) return;
  morphAttributes(old, fresh);
  if (!isAge) morphChildren(old, fresh);
}

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

function show(fresh) {
  const focused = document.activeElement;
  title = fresh.title;
  for (const part of [".top", ".banners", "main", ".bottom"]) {
    morph(document.querySelector(part), fresh.querySelector(part));
  }
  // An element that changed its place has lost the keyboard.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  document.dispatchEvent(new Event("shown"));
}

// Ask for a page, or whether it is still the one with this tag; null for that. A refusal comes as a page, too.
async function ask(address, etag) {
  const headers = { Accept: "text/html", ...(etag && { "If-None-Match": etag }) };
  const answer = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(DEADLINE_MS) });
  setClock(answer);
  if (answer.status === 304) return null;
  if (!answer.headers.get("Content-Type")?.startsWith("text/html")) throw new Error(answer.statusText);
  return { html: await answer.text(), etag: answer.headers.get("ETag") || "", isRefused: !answer.ok };
}

async function refresh() {
  if (document.hidden && performance.now() - askedAtMs < HIDDEN_REFRESH_MS) return;
  askedAtMs = performance.now();
  const question = ++asked;
  const address = location.pathname + location.search;
  askingSinceMs ??= performance.now();
  try {
    const answer = await ask(address, shown.address === address ? shown.etag : "");
    if (question !== asked) return; // another address is asked for by now
    if (answer) {
      show(parsed(answer.html));
      shown = { address, etag: answer.etag };
    }
    answeredAt = new Date(Date.now() + clockOffsetMs);
    askingSinceMs = null;
  } catch {
    // Nothing to tell yet: tellFreshness counts the seconds since the first question that wasn't answered.
  }
  tick();
}

async function follow() {
  await refresh();
  setTimeout(follow, REFRESH_MS);
}

// The link that a local API's start prints carries its token behind the #, which no browser sends anywhere. It is kept
// for this tab, so that it serves an instance's page too, and leaves the address bar.
function takeToken() {
  const match = /^#token=([\w-]+)$/.exec(location.hash);
  if (!match) return;
  sessionStorage.setItem("token", match[1]);
  history.replaceState(history.state, "", location.pathname + location.search);
}

function keptToken() {
  return sessionStorage.getItem("token") || "";
}

function dropToken() {
  sessionStorage.removeItem("token");
}

takeToken();
addEventListener("hashchange", takeToken); // the link of another start, in a tab that is open
document.documentElement.classList.add("has-script");
tick();
setInterval(tick, 1000);
document.addEventListener("visibilitychange", refresh);
setTimeout(follow, REFRESH_MS);
