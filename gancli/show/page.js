"use strict";
// A slider over the frames of each film. Without it the last frame is shown. Text only ever enters by textContent.
{
  const asked = new URLSearchParams(location.hash.slice(1)); // #at=0.5: where the sliders stand at first, of the run
  for (const film of document.querySelectorAll(".film")) {
    const frames = [...film.querySelectorAll("img")], when = film.querySelector(".when");
    const show = number => {
      frames.forEach((frame, i) => { frame.hidden = i !== number; });
      when.textContent = `${frames[number].dataset.kimg} kimg`;
    };
    film.classList.add("live");
    const last = frames.length - 1;
    const first = asked.has("at") ? Math.round(Math.min(1, Math.max(0, +asked.get("at") || 0)) * last) : last;
    show(first);
    if (!last) continue;
    const slider = document.createElement("input");
    Object.assign(slider, {type: "range", min: 0, max: last, step: 1, value: first});
    slider.setAttribute("aria-label", "Time, from the first grid to the last");
    slider.addEventListener("input", () => show(+slider.value));
    const play = document.createElement("button");
    play.type = "button";
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+slider.value === last) slider.value = -1;
      play.textContent = "Stop";
      timer = setInterval(() => {
        slider.value = +slider.value + 1;
        show(+slider.value);
        if (+slider.value === last) stop();
      }, 400);
    });
    stop();
    const controls = document.createElement("div");
    controls.className = "controls";
    controls.append(play, slider);
    frames[0].before(controls);
  }
}
