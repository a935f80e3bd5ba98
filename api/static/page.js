// Ages that run, and a page that follows its source. Without this script the page shows times and reloads itself.
"use strict";

const REFRESH_MS = 2000;
const DEADLINE_MS = 10000;

let etag = "";
let clockOffsetMs = 0;
let answeredAt = new Date();
const cards = new Map();

function agoInWords(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

function tellAges() {
  const now = Date.now() + clockOffsetMs;
  for (const time of document.querySelectorAll("time")) {
    const words = agoInWords(now - Date.parse(time.dateTime));
    const lead = time.dataset.lead;
    time.textContent = lead === "for " ? lead + words : `${lead}${words} ago`;
    time.title = time.dateTime;
  }
}

// The server's clock dates the observations, so ages are told by it. Its Date header counts whole seconds.
function setClock(answer) {
  const offsetMs = Date.parse(answer.headers.get("Date")) + 500 - Date.now();
  clockOffsetMs = Math.abs(offsetMs) > 2000 ? offsetMs : 0;
}

// An image that stays in place keeps its old picture until the new one is there.
function keepImage(oldCard, newCard) {
  const oldImage = oldCard.querySelector("img");
  const newImage = newCard.querySelector("img");
  if (!oldImage || !newImage) return;
  const source = newImage.getAttribute("src");
  if (oldImage.getAttribute("src") !== source) oldImage.setAttribute("src", source);
  oldImage.alt = newImage.alt;
  newImage.replaceWith(oldImage);
}

function remember(card) {
  cards.set(card.dataset.id, { element: card, html: card.outerHTML });
}

function showCards(fresh) {
  const seen = new Set();
  const elements = [];
  for (const card of fresh.querySelectorAll(".card")) {
    const known = cards.get(card.dataset.id);
    seen.add(card.dataset.id);
    if (!known || known.html !== card.outerHTML) {
      const html = card.outerHTML;
      if (known) keepImage(known.element, card);
      cards.set(card.dataset.id, { element: document.adoptNode(card), html });
    }
    elements.push(cards.get(card.dataset.id).element);
  }
  for (const id of cards.keys()) if (!seen.has(id)) cards.delete(id);
  const main = document.querySelector("main");
  const shown = [...main.children];
  if (shown.length !== elements.length || shown.some((card, i) => card !== elements[i])) {
    main.replaceChildren(...elements);
  }
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  document.title = fresh.title;
  for (const part of [".counts", ".observed", ".banners", ".mode"]) {
    document.querySelector(part).replaceWith(fresh.querySelector(part));
  }
  showCards(fresh);
}

function setLost(lost) {
  const banner = document.querySelector(".lost");
  banner.hidden = !lost;
  document.body.classList.toggle("is-lost", lost);
  if (lost) document.title = "no live data · loco-health";
  banner.querySelector("span").textContent = answeredAt.toLocaleTimeString();
}

async function refresh() {
  if (document.hidden) return;
  try {
    const headers = { Accept: "text/html", ...(etag && { "If-None-Match": etag }) };
    const answer = await fetch("./", { headers, cache: "no-store", signal: AbortSignal.timeout(DEADLINE_MS) });
    setClock(answer);
    if (answer.status !== 304) {
      if (!answer.headers.get("Content-Type").startsWith("text/html")) throw new Error(answer.statusText);
      show(await answer.text());
      etag = answer.headers.get("ETag") || "";
    }
    answeredAt = new Date();
    setLost(false);
  } catch {
    etag = ""; // the next answer is shown whole, title included
    setLost(true);
  }
  tellAges();
}

async function follow() {
  await refresh();
  setTimeout(follow, REFRESH_MS);
}

for (const card of document.querySelectorAll(".card")) remember(card);
tellAges();
setInterval(tellAges, 1000);
document.addEventListener("visibilitychange", refresh);
follow();
