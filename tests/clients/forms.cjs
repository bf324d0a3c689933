// Holds what zilla prints against schemas, with the libraries that editors and code scanning use.
//
//   forms.cjs schema SCHEMA FILE...   files of YAML, as an editor sees them
//   forms.cjs sarif FILE...           logs, against the schema of SARIF 2.1.0
//
// Prints one line of JSON for each file that is not as its schema wants, with the first errors:
// {"file": …, "errors": […]}.
// A schema that is none, or that has a keyword that means nothing, ends it.
"use strict";

const fs = require("node:fs");
const Ajv4 = require("ajv-draft-04").default;
const Ajv2020 = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;
const YAML = require("yaml");

const options = { allErrors: true, strict: true, strictRequired: false, strictTypes: false };

function report(file, errors) {
  if (errors.length > 0) {
    console.log(JSON.stringify({ file, errors: errors.slice(0, 10) }));
  }
}

function said(errors) {
  return (errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

function schema([path, ...files]) {
  const ajv = new Ajv2020(options);
  ajv.addVocabulary(["x-zilla"]);
  const validate = ajv.compile(JSON.parse(fs.readFileSync(path, "utf8")));
  for (const file of files) {
    const errors = [];
    for (const document of YAML.parseAllDocuments(fs.readFileSync(file, "utf8"))) {
      if (document.errors.length > 0) {
        errors.push(...document.errors.map((error) => error.message));
        continue;
      }
      const value = document.toJS();
      // A separator without a document after it is no document.
      if (value !== null && !validate(value)) {
        errors.push(...said(validate.errors));
      }
    }
    report(file, errors);
  }
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
({ schema, sarif })[command](rest);
