// SPDX-License-Identifier: Apache-2.0
// Maps of samples: point at one and see it on every map, switch colours, hide groups, zoom by
// dragging. The drawing is complete without this; texts come from the page and are set as text.
"use strict";
(() => {
  const RADIUS = 7;
  const button = (text, pressed) => {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = text;
    if (pressed !== undefined) element.setAttribute("aria-pressed", String(pressed));
    return element;
  };

  const colours = (figure, controls) => {
    const labels = figure.querySelector(".labels");
    if (!labels) return;
    const choices = [["by reason", false], ["by label", true]].map(([text, byLabel]) => {
      const choice = button(text, !byLabel);
      choice.addEventListener("click", () => {
        figure.classList.toggle("by-label", byLabel);
        choices.forEach((each) => each.setAttribute("aria-pressed", String(each === choice)));
      });
      return choice;
    });
    controls.append("colour", ...choices);
  };

  const hiding = (figure) => {
    for (const item of figure.querySelectorAll("[data-show]")) {
      const toggle = button("", true), group = item.dataset.show;
      toggle.append(...item.childNodes);
      toggle.addEventListener("click", () => {
        const shown = toggle.getAttribute("aria-pressed") !== "true";
        toggle.setAttribute("aria-pressed", String(shown));
        figure.querySelectorAll("circle." + group).forEach((dot) => dot.classList.toggle("off-" + group[0], !shown));
      });
      item.append(toggle);
    }
  };

  const reading = (figure, controls) => {
    const told = document.createElement("output");
    controls.append(told);
    const rowOf = (number) => document.getElementById("audit-" + figure.dataset.place + "-" + number);
    const show = (dot) => {
      figure.querySelectorAll(".on").forEach((each) => each.classList.remove("on"));
      if (!dot) return;
      const number = dot.dataset.n, row = rowOf(number);
      figure.querySelectorAll('[data-n="' + number + '"]').forEach((each) => each.classList.add("on"));
      const words = row ? [row.querySelector("code").textContent, row.querySelector("[data-label=Why]").textContent.trim()] : ["not listed"];
      told.textContent = "sample " + number + ": " + words.join(", ");
    };
    figure.addEventListener("pointerover", (event) => { if (event.target.matches("circle")) show(event.target); });
    figure.addEventListener("click", (event) => {
      const row = event.target.matches("circle") && rowOf(event.target.dataset.n);
      if (!row) return;
      const folded = row.closest("details");
      if (folded) folded.open = true;
      row.scrollIntoView({ block: "center" });
    });
  };

  const zooming = (map, reset) => {
    const whole = map.getAttribute("viewBox"), [, , width, height] = whole.split(" ").map(Number);
    let start = null;
    const place = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
      return [point.x, point.y];
    };
    const look = (box) => {
      map.setAttribute("viewBox", box);
      const scale = Number(box.split(" ")[2]) / width;
      map.querySelectorAll("circle").forEach((dot) => dot.setAttribute("r", String(RADIUS * scale)));
      reset.hidden = box === whole;
    };
    map.addEventListener("pointerdown", (event) => { start = event.button === 0 ? place(event) : null; });
    map.addEventListener("pointerup", (event) => {
      if (!start) return;
      const end = place(event), side = Math.max(Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1]) * width / height);
      if (side > width / 50) {
        const x = (start[0] + end[0] - side) / 2, y = (start[1] + end[1] - side * height / width) / 2;
        look([x, y, side, side * height / width].map((number) => number.toFixed(1)).join(" "));
      }
      start = null;
    });
    reset.addEventListener("click", () => look(whole));
  };

  for (const figure of document.querySelectorAll("figure.maps")) {
    const controls = document.createElement("div"), reset = button("whole map");
    controls.className = "controls";
    reset.hidden = true;
    colours(figure, controls);
    hiding(figure);
    controls.append(reset);
    figure.querySelectorAll("svg.map").forEach((map) => zooming(map, reset));
    reading(figure, controls);
    controls.querySelector("output").textContent = "Point at a sample; drag to look closer.";
    figure.prepend(controls);
  }
})();
