// Whether a script ran that somebody smuggled in, and how many elements there are that none of our pages has.
const foreign = document.querySelectorAll("img, iframe, script:not([src^='/page.js'])");
return [typeof hacked !== "undefined", foreign.length];
