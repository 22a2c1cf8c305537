// What the theme leaves out for those who use a keyboard or a screen reader: a name for the search,
// and a way into blocks and tables that scroll sideways, also once the theme has changed them.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
const reach = () => {
  for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (box.tabIndex !== 0) box.tabIndex = 0;
  }
};
reach();
new MutationObserver(reach).observe(document.body, {
  attributeFilter: ["tabindex"],
  childList: true,
  subtree: true,
});
