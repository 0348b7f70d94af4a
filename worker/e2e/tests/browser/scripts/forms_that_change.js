// Where the forms lead that change something.
return [...document.forms].filter((form) => form.method === "post").map((form) => form.getAttribute("action"));
