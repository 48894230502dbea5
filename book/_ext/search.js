// Part of the search page, behind Sphinx's own search tools (html_search_scorer): chapters come before pages of
// reference, and a number is a word. Sphinx leaves numbers out of a query, and "708" or "1709.01507" finds nothing.
Scorer.score = ([page, , , , score]) => {
  if (page.startsWith("notebooks/")) return score + 20;
  return page.startsWith("book/api") ? score - 200 : score; // last: they name everything
};

if (typeof Search !== "undefined") {
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => {
    const parsed = parse(query);
    const [, wanted, , highlighted] = parsed;
    splitQuery(query.trim()).filter((word) => /^\d+$/.test(word)).forEach((number) => {
      wanted.add(number);
      highlighted.add(number);
    });
    return parsed;
  };
}
