"use strict";
// The page follows the store: the server says that something changed, the page is asked for anew, and the parts that
// differ are replaced. What somebody has opened, scrolled or is about to press stays as it is.
const live = document.getElementById("live");
if (live) {
  let asking = false;
  let again = false;

  function key(each) {
    return each.getAttribute("href") || each.getAttribute("aria-label") || each.parentElement.id;
  }

  function replace(old, next) {
    const open = [...old.querySelectorAll("details[open]")].map((each) => each.id);
    const scrolled = [...old.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    const at = old.contains(document.activeElement) ? document.activeElement : null;
    const name = at && key(at);
    old.replaceChildren(...next.childNodes);
    for (const each of old.querySelectorAll("details")) each.open = open.includes(each.id);
    old.querySelectorAll(".scroll").forEach((each, n) => { each.scrollLeft = scrolled[n] || 0; });
    const same = name && [...old.querySelectorAll("a, summary, .scroll")].find((each) => key(each) === name);
    if (same) same.focus({ preventScroll: true });
  }

  function renewed(page) {
    for (const old of document.querySelectorAll("[data-live]")) {
      const next = page.getElementById(old.id);
      if (next && next.textContent !== old.textContent) replace(old, next);
    }
  }

  async function renew() {
    if (asking) { again = true; return; }
    asking = true;
    const began = performance.now();
    try {
      const reply = await fetch(location.href, { cache: "no-store" });
      if (reply.ok) renewed(new DOMParser().parseFromString(await reply.text(), "text/html"));
      live.textContent = reply.ok ? "live" : "the store cannot be read now";
    } catch {
      live.textContent = "not connected";
    }
    // A slow page (a text search in a large store) is asked for at most a quarter of the time.
    setTimeout(() => {
      asking = false;
      if (again) { again = false; renew(); }
    }, 3 * (performance.now() - began));
  }

  const events = new EventSource("/events");
  events.addEventListener("open", () => { live.textContent = "live"; });
  events.addEventListener("error", () => { live.textContent = "not connected"; });
  events.addEventListener("changed", renew);
}
