"""The live picture in a browser: `server` is the web server, `preview` what it shows."""
