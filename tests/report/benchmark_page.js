// Measures the pages in all iframes, with every <details> open, and leaves what it found as JSON.
const text = (each) =>
  `${each.tagName} ${each.getAttribute("class")} ${each.textContent.trim().slice(0, 40)}`;
const box = (each) => each.getBoundingClientRect();

function measure(page) {
  const width = page.documentElement.clientWidth;
  const all = (selector) => [...page.querySelectorAll(selector)];
  for (const each of all("details")) each.open = true;
  const pictures = all("img, [role=img]");
  return {
    width,
    page: page.documentElement.scrollWidth,
    pictures: pictures.length,
    undrawn: pictures.filter((each) => box(each).width < 8 || box(each).height < 8).map(text),
    broken: all("img").filter((each) => !each.complete || !each.naturalWidth).map(text),
    empty: all("svg[role=img]").filter((each) => each.getBBox().height < 8).map(text),
    // what scrolls in a container of its own may be wider than the page, the container may not
    out: all("main *")
      .filter((each) => each.matches(".scroll") || !each.closest(".scroll, .track"))
      .filter((each) => box(each).left < 0 || box(each).right > width)
      .map(text),
    cut: all("main *:not(.scroll):not(.track)")
      .filter((each) => getComputedStyle(each).overflowX !== "visible")
      .filter((each) => each.scrollWidth > each.clientWidth)
      .map(text),
  };
}

addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  const said = document.createElement("pre");
  said.textContent = JSON.stringify(frames.map((each) => measure(each.contentDocument)));
  document.body.replaceChildren(said);
});
