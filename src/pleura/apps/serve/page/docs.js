// The description of the HTTP interface, drawn by Swagger UI; nothing is loaded from another site.

window.SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
