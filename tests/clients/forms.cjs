// Holds what zilla prints against schemas, with the libraries that editors and code scanning use.
//
//   forms.cjs sarif FILE...           logs, against the schema of SARIF 2.1.0
//
// Prints one line of JSON for each file that is not as its schema wants, with the first errors:
// {"file": …, "errors": […]}.
"use strict";

const fs = require("node:fs");
const Ajv4 = require("ajv-draft-04").default;
const formats = require("ajv-formats").default;

const options = { allErrors: true };

function report(file, errors) {
  if (errors.length > 0) {
    console.log(JSON.stringify({ file, errors: errors.slice(0, 10) }));
  }
}

function said(errors) {
  return (errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

function sarif(files) {
  const ajv = new Ajv4({ ...options, strict: false, unicodeRegExp: false });
  formats(ajv);
  const path = require.resolve("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
  const validate = ajv.compile(JSON.parse(fs.readFileSync(path, "utf8")));
  for (const file of files) {
    validate(JSON.parse(fs.readFileSync(file, "utf8")));
    report(file, said(validate.errors));
  }
}

const [command, ...rest] = process.argv.slice(2);
({ sarif })[command](rest);
