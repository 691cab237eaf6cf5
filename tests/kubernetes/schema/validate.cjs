#!/usr/bin/env node
// Checks Kubernetes manifests without a cluster. Three judges, since each is blind to something:
//
//   the official schemas, as kubernetes-models' run-time validate(): types, required fields, formats of quantities;
//   the same package's TypeScript types: fields that do not exist, which the schemas let pass;
//   our own rules: what one object says of another (labels that a selector misses, a serviceName without its Service).
//
// One line per fault on stdout, `FILE: Kind/name: fault`; exit status 1 when there was any. The packages are looked for
// in the current directory, where `npm ci` was run.
//
// usage: validate.cjs FILE...
"use strict";

const fs = require("fs");
const path = require("path");
const require_here = require("module").createRequire(path.join(process.cwd(), "package.json"));
const ts = require_here("typescript");
const yaml = require_here("yaml");

/** The objects of a manifest. Kubernetes reads YAML 1.1, where a bare `yes` is a truth value. */
function read_objects(file, complain) {
    const objects = [];
    for (const document of yaml.parseAllDocuments(fs.readFileSync(file, "utf8"), { version: "1.1" })) {
        for (const error of document.errors) complain(file, null, error.message.split("\n")[0]);
        const object = document.errors.length ? null : document.toJS();
        if (object !== null) objects.push(object);
    }
    return objects;
}

function model_of(object) {
    return `kubernetes-models/${object.apiVersion}/${object.kind}`;
}

function check_schema(file, object, complain) {
    let Model;
    try {
        Model = require_here(model_of(object))[object.kind];
    } catch {
        complain(file, object, `there is no ${object.kind} in ${object.apiVersion}`);
        return;
    }
    try {
        new Model(object).validate();
    } catch (error) {
        for (const each of error.errors ?? []) complain(file, object, `${each.instancePath}: ${each.message}`);
        if (!error.errors) complain(file, object, error.message);
    }
}

/** Writes every object as a typed constant into a source file, in memory only, and lets the compiler judge. */
function check_types(entries, complain) {
    const sources = new Map();
    entries.forEach(({ file, object }, i) => {
        const name = path.join(process.cwd(), `object-${i}.ts`);
        const text = `import type { I${object.kind} as Kind } from "${model_of(object)}";\n` +
            `export const object: Kind = ${JSON.stringify(object, null, 1)};\n`;
        sources.set(name, { file, object, text });
    });
    const options = { strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 };
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists, readFile } = host;
    host.fileExists = (name) => sources.has(name) || fileExists(name);
    host.readFile = (name) => sources.get(name)?.text ?? readFile(name);
    host.getSourceFile = (name, ...rest) => sources.has(name)
        ? ts.createSourceFile(name, sources.get(name).text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);
    for (const diagnostic of ts.getPreEmitDiagnostics(ts.createProgram([...sources.keys()], options, host))) {
        const source = sources.get(diagnostic.file?.fileName);
        const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
        complain(source?.file ?? "the compiler", source?.object, message);
    }
}

const workload_kinds = ["StatefulSet", "Deployment", "DaemonSet", "ReplicaSet"];

function covers(labels, selector) {
    return Object.entries(selector).every(([name, value]) => labels?.[name] === value);
}

/** The labels that pods get, one entry per kind of pod in the file. */
function pod_labels(objects) {
    return objects.flatMap((object) => {
        if (object.kind === "Pod") return [object.metadata?.labels ?? {}];
        if (!workload_kinds.includes(object.kind)) return [];
        const labels = object.spec?.template?.metadata?.labels ?? {};
        if (object.kind !== "StatefulSet") return [labels];
        return Array.from({ length: object.spec.replicas ?? 1 }, (_, i) =>
            ({ ...labels, "statefulset.kubernetes.io/pod-name": `${object.metadata?.name}-${i}` }));
    });
}

function check_workload(object, named, say) {
    const { selector, template, serviceName, volumeClaimTemplates = [] } = object.spec ?? {};
    const labels = template?.metadata?.labels;
    if (selector && !covers(labels, selector.matchLabels ?? {})) say("its selector misses the labels of its own pods");
    if (object.kind === "StatefulSet") {
        const service = named("Service", serviceName);
        if (!service) say(`its serviceName ${serviceName} is no Service of this file`);
        else if (!covers(labels, service.spec?.selector ?? {})) say(`Service ${serviceName} selects other pods`);
    }
    check_volumes(template?.spec ?? {}, volumeClaimTemplates, named, say);
}

function check_volumes(spec, claims, named, say) {
    const of_claims = claims.map((claim) => claim.metadata ?? {});
    const volumes = new Set([...(spec.volumes ?? []), ...of_claims].map((volume) => volume.name));
    for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])])
        for (const mount of container.volumeMounts ?? [])
            if (!volumes.has(mount.name)) say(`container ${container.name} mounts ${mount.name}, which is no volume`);
    for (const { name, configMap } of spec.volumes ?? []) {
        if (!configMap) continue;
        const data = named("ConfigMap", configMap.name)?.data;
        if (!data) say(`volume ${name}: there is no ConfigMap ${configMap.name}`);
        for (const { key } of data ? configMap.items ?? [] : [])
            if (!(key in data)) say(`volume ${name}: ConfigMap ${configMap.name} has no ${key}`);
    }
}

function check_references(file, objects, complain) {
    const named = (kind, name) => objects.find((object) => object.kind === kind && object.metadata?.name === name);
    const labels = pod_labels(objects);
    for (const object of objects) {
        const say = (fault) => complain(file, object, fault);
        if (workload_kinds.includes(object.kind)) check_workload(object, named, say);
        const selector = object.kind === "Service" ? object.spec?.selector : object.spec?.selector?.matchLabels;
        if (!["Service", "PodDisruptionBudget"].includes(object.kind) || !selector) continue;
        if (!labels.some((each) => covers(each, selector))) say("its selector finds no pod");
    }
}

function main(files) {
    let faults = 0;
    const complain = (file, object, fault) => {
        faults++;
        console.log(`${file}: ${object ? `${object.kind}/${object.metadata?.name}: ` : ""}${fault}`);
    };
    const entries = [];
    for (const file of files) {
        const objects = read_objects(file, complain);
        for (const object of objects) {
            check_schema(file, object, complain);
            entries.push({ file, object });
        }
        check_references(file, objects, complain);
    }
    check_types(entries, complain);
    return faults ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
