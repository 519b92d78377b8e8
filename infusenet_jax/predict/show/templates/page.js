"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  function clock(seconds, digits) {
    const rounded = Number(seconds.toFixed(digits));
    if (rounded < 60) return rounded.toFixed(digits) + " s";
    const hours = Math.floor(rounded / 3600);
    const minutes = Math.floor(rounded / 60) % 60;
    const rest = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
    return (hours ? hours + ":" + String(minutes).padStart(2, "0") : minutes) + ":" + rest;
  }

  // -- Time line ------------------------------------------------------------

  function bytes(text) {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  }

  function timeline(box) {
    const { start, end, top, each, seconds, number, motion } = box.dataset;
    const first = Number(start), last = Number(end), high = 100 * Number(top);
    const times = new Float64Array(bytes(seconds));
    const numbers = new Int32Array(bytes(number));
    const codes = new Uint16Array(bytes(motion));
    const count = times.length, NONE = 65535;
    const plot = box.querySelector(".plot"), paths = all("path", plot);
    const marks = all(".mark", plot).map((mark) => [
      mark, Number(mark.dataset.from), Number(mark.dataset.to),
    ]);
    const axis = box.querySelector(".axis"), cursor = box.querySelector(".cursor");
    const values = all(".values .row", box).slice(1);
    const output = document.querySelector(".tools output");
    const shortest = Math.min(last - first, Math.max(0.25, 4 * (last - first) / count));
    let from = first, to = last, at = null, waiting = false;

    // The first sample at or after a time.
    function index(time) {
      let low = 0, after = count;
      while (low < after) {
        const middle = (low + after) >> 1;
        if (times[middle] < time) low = middle + 1; else after = middle;
      }
      return low;
    }

    function path(lane, begin, stop, columns) {
      const points = [];
      const step = Math.max(1, Math.floor((stop - begin) / columns));
      let text = "", open = false, x = 0;
      for (let i = begin - (begin % step); i < stop; i += step) {
        let value = -1;
        for (let j = Math.max(i, 0); j < Math.min(i + step, count); j++) {
          const code = codes[lane * count + j];
          if (code !== NONE && code > value) value = code;
        }
        if (value < 0) {
          if (open) text += "L" + x + ",100Z";
          open = false;
          continue;
        }
        x = (1000 * (times[Math.max(i, 0)] - from) / (to - from)).toFixed(1);
        const y = (100 * (1 - Math.min(value / high, 1))).toFixed(1);
        text += (open ? "L" : "M" + x + ",100L") + x + "," + y;
        open = true;
      }
      return open ? text + "L" + x + ",100Z" : text;
    }

    function ticks() {
      const room = Math.max(2, Math.floor(plot.clientWidth / 80)), span = to - from;
      const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
      const step = steps.find((s) => span / s <= room) || 600 * Math.ceil(span / 600 / room);
      const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
      const spans = [];
      for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9; k++) {
        const tick = document.createElement("span");
        const left = 100 * (k * step - from) / span;
        tick.style.left = left + "%";
        tick.className = left < 3 ? "first" : left > 97 ? "last" : "";
        tick.textContent = clock(k * step, digits);
        spans.push(tick);
      }
      axis.replaceChildren(...spans);
    }

    function place() {
      const span = to - from, wide = plot.clientWidth;
      let taken = -1e9;
      for (const [mark, a, b] of marks) {
        mark.style.left = 100 * (a - from) / span + "%";
        mark.style.width = 100 * (b - a) / span + "%";
        if (mark.classList.contains("expression")) {
          const middle = wide * ((a + b) / 2 - from) / span;
          const crowded = middle - taken < 14 + 8 * mark.textContent.length;
          mark.classList.toggle("crowded", crowded);
          if (!crowded) taken = middle;
        }
      }
    }

    function read() {
      if (at !== null && (times[at] < from || times[at] > to)) at = null;
      cursor.hidden = at === null;
      if (at === null) {
        output.value = to - from < last - first - 1e-9
          ? clock(from, 2) + " to " + clock(to, 2) : "";
        for (const value of values) value.textContent = "";
        return;
      }
      cursor.style.left = 100 * (times[at] - from) / (to - from) + "%";
      const until = at + 1 < count ? numbers[at + 1] - 1 : numbers[at];
      output.value = clock(times[at], 3) + ", frame" +
        (Number(each) > 1 ? "s " + numbers[at] + " to " + until : " " + numbers[at]);
      values.forEach((value, lane) => {
        const code = codes[lane * count + at];
        value.textContent = code === NONE ? "–" : (code / 100).toFixed(2) + "%";
      });
    }

    function draw() {
      waiting = false;
      const begin = Math.max(index(from) - 1, 0), stop = Math.min(index(to) + 1, count);
      const columns = clamp(plot.clientWidth, 200, 1200);
      paths.forEach((line, lane) => line.setAttribute("d", path(lane, begin, stop, columns)));
      place();
      ticks();
      read();
    }

    function show(a, b) {
      const span = clamp(b - a, shortest, last - first);
      a = clamp((a + b - span) / 2, first, last - span);
      [from, to] = [a, a + span];
      if (!waiting) requestAnimationFrame(draw);
      waiting = true;
    }

    const time = (x) => {
      const edge = plot.getBoundingClientRect();
      return from + (to - from) * (x - edge.left) / edge.width;
    };
    const zoom = (factor, middle = (from + to) / 2) => {
      const span = clamp((to - from) * factor, shortest, last - first);
      const a = middle - (middle - from) * span / (to - from);
      show(a, a + span);
    };
    const move = (share) => show(from + share * (to - from), to + share * (to - from));
    const point = (i) => {
      at = clamp(i, 0, count - 1);
      if (times[at] < from || times[at] > to) {
        const half = (to - from) / 2;
        show(times[at] - half, times[at] + half);
      }
      read();
    };
    const nearest = (t) => {
      const i = clamp(index(t), 0, count - 1);
      return i > 0 && t - times[i - 1] < times[i] - t ? i - 1 : i;
    };

    const deeds = {
      in: () => zoom(0.5), out: () => zoom(2), back: () => move(-0.5), on: () => move(0.5),
      all: () => show(first, last),
    };
    for (const button of all("[data-do]")) {
      button.addEventListener("click", deeds[button.dataset.do]);
    }
    const keys = {
      "+": deeds.in, "=": deeds.in, "-": deeds.out, Home: deeds.all, Escape: deeds.all,
      PageUp: deeds.back, PageDown: deeds.on,
      ArrowLeft: () => point(at === null ? nearest((from + to) / 2) : at - 1),
      ArrowRight: () => point(at === null ? nearest((from + to) / 2) : at + 1),
    };
    plot.tabIndex = 0;
    plot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    plot.addEventListener("wheel", (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const meant = event.ctrlKey || event.metaKey || document.activeElement === plot;
      if (!meant && !sideways) return;
      event.preventDefault();
      if (sideways) move(event.deltaX / plot.clientWidth);
      else zoom(Math.exp(clamp(event.deltaY, -100, 100) / 250), time(event.clientX));
    }, { passive: false });

    // Fingers and the mouse: one drags or points, two pinch.
    const down = new Map();
    let dragged = false;
    plot.addEventListener("pointerdown", (event) => {
      if (!down.size) dragged = false;
      down.set(event.pointerId, event.clientX);
    });
    plot.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (before === undefined) return point(nearest(time(event.clientX)));
      const x = event.clientX, others = [...down].filter(([id]) => id !== event.pointerId);
      if (others.length) {
        const other = others[0][1];
        const was = Math.abs(before - other), is = Math.abs(x - other);
        dragged = true;
        if (was > 8 && is > 8) zoom(was / is, time((x + other) / 2));
      } else if (dragged || Math.abs(x - before) > 4) {
        if (!dragged) plot.setPointerCapture(event.pointerId);
        dragged = true;
        move((before - x) / plot.clientWidth);
      } else return;
      down.set(event.pointerId, x);
    });
    const up = (event) => {
      down.delete(event.pointerId);
      if (event.type === "pointerup" && !dragged) point(nearest(time(event.clientX)));
    };
    plot.addEventListener("pointerup", up);
    plot.addEventListener("pointercancel", up);
    plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "mouse" || down.size) return;
      at = null;
      read();
    });
    plot.addEventListener("dblclick", (event) => zoom(0.4, time(event.clientX)));
    plot.addEventListener("click", (event) => { if (dragged) event.preventDefault(); });
    plot.addEventListener("dragstart", (event) => event.preventDefault());
    addEventListener("resize", () => show(from, to));
    addEventListener("beforeprint", () => { at = null; draw(); });
    draw();
    return show;
  }

  // -- Faces ----------------------------------------------------------------

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function compare(box) {
    const [onset, ...others] = all("figure", box);
    const stage = element("div", { className: "stage" }, onset, ...others,
      element("i", { className: "divider" }));
    const slider = element("input", { type: "range", min: 0, max: 100, value: 50 });
    slider.setAttribute("aria-label", "How much of the onset is seen, from the left");
    let timer = 0;
    const at = (share) => {
      slider.value = share;
      box.style.setProperty("--at", share + "%");
    };
    const buttons = others.map((figure) => {
      const words = figure.classList.contains("apex")
        ? "apex" : figure.querySelector("figcaption").textContent.replace("apex, ", "");
      const button = element("button", { type: "button", textContent: words });
      button.addEventListener("click", () => choose(figure));
      return button;
    });
    function choose(chosen) {
      others.forEach((figure, i) => {
        figure.classList.toggle("chosen", figure === chosen);
        buttons[i].setAttribute("aria-pressed", figure === chosen);
      });
    }
    const flip = element("button", { type: "button", textContent: "flip to and fro" });
    function stop() {
      clearInterval(timer);
      timer = 0;
      flip.setAttribute("aria-pressed", false);
    }
    flip.addEventListener("click", () => {
      if (timer) { stop(); at(50); return; }
      flip.setAttribute("aria-pressed", true);
      at(0);
      timer = setInterval(() => at(Number(slider.value) < 50 ? 100 : 0), 500);
    });
    slider.addEventListener("input", () => { stop(); at(slider.value); });
    const drag = (event) => {
      const edge = stage.getBoundingClientRect();
      stop();
      at(clamp(100 * (event.clientX - edge.left) / edge.width, 0, 100));
    };
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      drag(event);
    });
    stage.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
    box.classList.add("live");
    box.replaceChildren(stage, slider,
      element("div", { className: "choice" }, "onset beside", ...buttons, flip));
    choose(others[1]);
    at(50);
    stop();
  }

  // -- Page -----------------------------------------------------------------

  const line = document.getElementById("timeline");
  const show = line ? timeline(line) : null;
  const intervals = all("details.interval");
  for (const interval of intervals) {
    const box = interval.querySelector(".compare");
    const ready = () => {
      if (interval.open && box && !box.classList.contains("live")) compare(box);
    };
    interval.addEventListener("toggle", ready);
    ready();
    const mark = line && line.querySelector(`a[href="#${interval.id}"]`);
    if (!mark) continue;
    const from = Number(mark.dataset.from), to = Number(mark.dataset.to);
    const button = element("button", { type: "button", textContent: "show in the time line" });
    button.addEventListener("click", () => {
      show(from - 1, to + 1);
      line.scrollIntoView({ block: "center" });
    });
    interval.querySelector(".numbers").append(
      element("p", { className: "choice" }, button));
  }

  function unfold() {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  addEventListener("hashchange", unfold);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) unfold();
  });
  unfold();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });
})();
