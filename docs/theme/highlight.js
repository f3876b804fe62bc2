// Colours for the few languages that this book shows. It has the interface that mdBook's script expects of a highlighter, and
// is a fortieth of the usual one: every byte of this site is verified when swos reads it.
"use strict";
(() => {
    const rust = [
        ["comment", /\/\/[^\n]*|\/\*[^]*?\*\//],
        ["string", /b?"(?:[^"\\]|\\[^])*"|b?'(?:[^'\\\n]|\\[^'\n]+|\\')'/],
        ["meta", /#!?\[[^\]]*\]/],
        ["keyword", /\b(?:as|async|await|break|const|continue|crate|dyn|else|enum|extern|fn|for|if|impl|in|let|loop|match|mod|move|mut|pub|ref|return|self|Self|static|struct|super|trait|type|unsafe|use|where|while)\b/],
        ["title", /\b[a-z_][a-z0-9_]*!/],
        ["literal", /\b(?:true|false|Some|None|Ok|Err)\b/],
        ["type", /\b(?:[A-Z]\w*|[iu](?:8|16|32|64|128|size)|bool|str)\b/],
        ["number", /\b\d[\w.]*\b/],
    ];
    const toml = [
        ["comment", /#[^\n]*/],
        ["string", /"(?:[^"\\\n]|\\.)*"/],
        ["keyword", /^\s*\[[^\]\n]*\]/m],
        ["title", /^[\w.-]+(?=\s*=)/m],
        ["literal", /\b(?:true|false)\b/],
        ["number", /\b\d[\w.]*\b/],
    ];
    const console_ = [
        ["comment", / {2,}#[^\n]*/],
        ["keyword", /^(?:\$|swos&gt;|swos>)(?= )/m],
    ];
    const languages = { rust, toml, console: console_ };

    const escape = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);

    function highlightBlock(code) {
        const name = [...code.classList].map((c) => /^language-(\w+)/.exec(c)?.[1]).find((c) => c in languages);
        if (!name || code.querySelector(".boring")) return;
        const rules = languages[name];
        // One pass over the text: the first rule that matches at a place wins.
        const all = new RegExp(rules.map(([, rule]) => `(${rule.source})`).join("|"), "gm");
        const text = code.textContent;
        let html = "";
        let at = 0;
        for (const match of text.matchAll(all)) {
            const kind = rules[match.slice(1).findIndex((group) => group !== undefined)][0];
            html += `${escape(text.slice(at, match.index))}<span class="hljs-${kind}">${escape(match[0])}</span>`;
            at = match.index + match[0].length;
        }
        code.innerHTML = html + escape(text.slice(at));
    }

    window.hljs = { configure() {}, highlightBlock };
})();
