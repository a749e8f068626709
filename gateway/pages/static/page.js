// Reads the page anew when the log says that its study changed. A form that is being filled in is left alone.
"use strict";
const study = document.currentScript.dataset.study;
let shown = document.getElementById("main").innerHTML;

function isBusy() {
  return Array.from(document.querySelectorAll("details")).some((one) => one.open);
}

function say(text) {
  document.getElementById("live").textContent = text;
}

async function read() {
  try {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" } });
    return answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
  } catch {
    return null;
  }
}

async function refresh(what, waited_ms) {
  const fresh = isBusy() ? null : await read();
  if (isBusy()) {
    sayNew(what);
  } else if (fresh && fresh.innerHTML !== shown) {
    show(fresh);
  } else if (document.hidden) {
    // Who looks away is shown it when he looks again: until then nothing is asked for.
  } else if (waited_ms < WAIT_MS_MAX) {
    refreshAfter(what, 2 * waited_ms);
  } else {
    awaited = null;
    if (!fresh) say(`New: ${what}. The page cannot be read now: what stands here may be so no more. Reload it.`);
  }
}

// Of a page that was not looked at for a while. Once: each time is noted as a study that was shown, and mostly nothing
// has happened.
async function refreshOnce() {
  const fresh = await read();
  if (document.hidden || (fresh && fresh.innerHTML === shown)) return;
  if (!fresh) say("The page cannot be read now: what stands here may be so no more. Reload it.");
  else if (isBusy()) sayNew("something while this page was not looked at");
  else show(fresh);
}

function show(fresh) {
  awaited = null;
  shown = fresh.innerHTML;
  document.getElementById("main").replaceWith(fresh);
}

// What is typed is lost with the page.
function sayNew(what) {
  awaited = null;
  say(`New: ${what}. Send what you are writing, or note it down, and reload the page to see it.`);
}

// The catalog reads the same log, and may be behind it: a page that says what it said before is read again.
const WAIT_MS = 1000, WAIT_MS_MAX = 16000;
let waiting = 0;
// What was told and is not on the page yet.
let awaited = null;

function refreshAfter(what, wait_ms) {
  awaited = what;
  clearTimeout(waiting);
  waiting = setTimeout(() => refresh(what, wait_ms), wait_ms);
}

// A browser has six connections to one address, for all its tabs together: pages that nobody looks at hold none.
let source = null;

function listen() {
  source = new EventSource(`/events?study=${encodeURIComponent(study)}`);
  for (const kind of ["revision", "result", "review", "tier", "reset"]) {
    source.addEventListener(kind, () => refreshAfter(kind, WAIT_MS));
  }
}

function look() {
  if (document.hidden) {
    if (source) source.close();
    source = null;
    clearTimeout(waiting);
  } else if (!source) {
    listen();
    if (awaited) refreshAfter(awaited, WAIT_MS);
    // What happened meanwhile was told to nobody here.
    else waiting = setTimeout(refreshOnce, WAIT_MS);
  }
}

document.addEventListener("visibilitychange", look);
if (!document.hidden) listen();
