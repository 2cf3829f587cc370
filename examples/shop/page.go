package main

import (
	"fmt"
	"net/http"
)

// page is the shop for browsers. Its policy allows scripts of its own origin and nothing else; Ringfence's is one of them.
const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Shop %[1]s</title>
<script defer src="/.ringfence/rum.js"></script><script defer src="/app.js"></script></head>
<body><h1>Shop, version %[1]s</h1><p>Have a cup of tea.</p>
<p><button id="buy">Buy</button> <button id="break">Break</button></p></body></html>
`

// app tells what users do. It works as well where Ringfence's script is not there.
const app = `(function () {
  "use strict";
  var told = window.ringfence || { event: function () {} };
  document.getElementById("buy").addEventListener("click", function () { told.event("purchase", 12.5); });
  document.getElementById("break").addEventListener("click", function () { setTimeout(function () { throw new TypeError("the cart of ann@shop.example is gone"); }); Promise.reject(new Error("no stock")); });
})();
`

func pages(mux *http.ServeMux) {
	show := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		fmt.Fprintf(w, page, version)
	}
	mux.HandleFunc("GET /app", show)
	mux.HandleFunc("GET /app/product/{id}", show)
	mux.HandleFunc("GET /app.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		fmt.Fprint(w, appError+app)
	})
}
