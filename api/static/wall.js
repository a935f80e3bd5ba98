// The wall comes alive: filters without a reload, more cards while one scrolls, arrow keys among the marks.
"use strict";

// chosen: a screen ahead, so that cards are there before they are seen.
const AHEAD_PX = 1000;

// chosen: a pause in typing.
const TYPING_MS = 200;

let typing = 0;
const etags = new WeakMap();

// The portions of cards after the page's own one; the server knows nothing of them.
const more = document.createElement("div");
more.className = "more";
more.dataset.kept = "";
document.querySelector("main").append(more);

function go(address) {
  history.replaceState(null, "", address);
  more.replaceChildren();
  refresh();
}

function applyForm(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value);
  go(fields.length ? `./?${new URLSearchParams(fields)}` : "./");
}

function fillForm(search) {
  const wanted = new URLSearchParams(search);
  for (const field of document.querySelectorAll(".filters [name]")) field.value = wanted.get(field.name) || "";
}

document.addEventListener("input", (event) => {
  const form = event.target.closest(".filters");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => applyForm(form), TYPING_MS);
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".filters")) return;
  event.preventDefault();
  clearTimeout(typing);
  applyForm(event.target);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest(".counts a, .clear");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  fillForm(new URL(link.href).search);
  // That link is gone in a moment, and the keyboard with it.
  if (link.matches(".clear:focus-visible")) document.querySelector(".filters [type=search]").focus();
  go(link.href);
});

// A card that another portion shows by now is shown there only.
function dropDoubles() {
  const seen = new Set();
  for (const card of document.querySelectorAll(".card")) {
    if (seen.has(card.dataset.id)) card.remove();
    seen.add(card.dataset.id);
  }
}

async function loadPortion(link) {
  const portion = document.createElement("div");
  portion.className = "portion";
  portion.dataset.address = link.href;
  more.append(portion);
  await refreshPortion(portion);
}

async function refreshPortion(portion) {
  let answer;
  try {
    answer = await ask(portion.dataset.address, etags.get(portion));
    if (answer?.isRefused) throw new Error("no portion of cards");
  } catch {
    if (!portion.firstChild) portion.remove(); // the link before it is the last again, to be tried anew
    return; // the page's own questions tell whether the source is lost
  }
  if (!answer || !portion.isConnected) return;
  const fresh = document.createElement("div");
  fresh.append(...parsed(answer.html).querySelectorAll(".cards, .portions"));
  morphChildren(portion, fresh);
  etags.set(portion, answer.etag);
  dropDoubles();
  tellAges();
  watchNext();
}

// A portion that nobody sees stays as it was; its ages say how old it is.
async function refreshPortionsInSight() {
  for (const portion of document.hidden ? [] : [...more.children]) {
    const { top, bottom } = portion.getBoundingClientRect();
    if (bottom > -AHEAD_PX && top < innerHeight + AHEAD_PX) await refreshPortion(portion);
  }
  watchNext();
  setTimeout(refreshPortionsInSight, REFRESH_MS);
}

const ahead = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      ahead.unobserve(target);
      loadPortion(target);
    }
  },
  { rootMargin: `${AHEAD_PX}px` },
);

function watchNext() {
  const last = [...document.querySelectorAll(".next")].at(-1);
  const isFollowed = [...more.children].some((portion) => portion.dataset.address === last?.href);
  if (last && !isFollowed) ahead.observe(last);
}

// Where the page's own cards are all there are, or it tells of a problem, those of the portions are of another time.
function dropMore() {
  const isFirstOfMore = [...document.querySelectorAll(".next")].some((link) => !more.contains(link));
  if (!isFirstOfMore) more.replaceChildren();
}

// One stop of the tab key for all marks; arrows go on from there.
function setStops() {
  const marks = [...document.querySelectorAll(".marks a")];
  const stop = marks.find((mark) => mark.tabIndex === 0 && mark.hasAttribute("tabindex")) || marks[0];
  for (const mark of marks) {
    const index = mark === stop ? "0" : "-1";
    if (mark.getAttribute("tabindex") !== index) mark.setAttribute("tabindex", index);
  }
}

document.addEventListener("keydown", (event) => {
  const mark = event.target.closest?.(".marks a");
  if (!mark || event.ctrlKey || event.metaKey || event.altKey) return;
  const marks = [...mark.parentElement.children];
  const columns = getComputedStyle(mark.parentElement).gridTemplateColumns.split(" ").length;
  const at = marks.indexOf(mark);
  const places = {
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    ArrowDown: at + columns,
    ArrowUp: at - columns,
    Home: 0,
    End: marks.length - 1,
  };
  const next = marks[places[event.key]];
  if (!(event.key in places)) return;
  event.preventDefault();
  if (!next) return;
  mark.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});

document.addEventListener("shown", () => {
  dropMore();
  dropDoubles();
  setStops();
  watchNext();
});
setTimeout(refreshPortionsInSight, REFRESH_MS);
setStops();
watchNext();
