"use strict";
// The list of calls follows the store: the server says that something changed, and the page is asked for anew.
const live = document.getElementById("live");
if (live) {
  const events = new EventSource("/events");
  let asking = false;
  let again = false;
  async function renew() {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const reply = await fetch("/", { cache: "no-store" });
      if (reply.ok) {
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
      }
    } finally {
      asking = false;
      if (again) { again = false; renew(); }
    }
  }
  events.addEventListener("open", () => { live.textContent = "live"; });
  events.addEventListener("error", () => { live.textContent = "not connected"; });
  events.addEventListener("changed", renew);
}
