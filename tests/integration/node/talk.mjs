// Talks to relay with the SDKs from npm, and tells as JSON what became of it: check -> back -> "ok" or what is wrong.
// argv: base address, {"backs", "embedding", "calling", "broken": {back: model}, "words": text, "schema": of a tool}.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [base, text] = process.argv.slice(2);
const plan = JSON.parse(text);
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: base, apiKey: "none", maxRetries: 0 });
const user = [{ role: "user", content: plan.words }];
const CITY = { city: "sample" };
const chatTools = [{ type: "function", function: { name: "weather", parameters: plan.schema } }];
const responseTools = [{ type: "function", name: "weather", parameters: plan.schema, strict: false }];
const messageTools = [{ name: "weather", input_schema: plan.schema }];

async function gather(stream) {
  const seen = [];
  for await (const piece of stream) seen.push(piece);
  return seen;
}

const checks = {
  async "openai chat"(back) {
    const ask = { model: plan.backs[back], messages: user };
    const whole = await openai.chat.completions.create(ask);
    assert.equal(whole.choices[0].message.content, plan.words);
    const chunks = await gather(await openai.chat.completions.create({ ...ask, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), plan.words);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  },
  async "openai tools"(back) {
    const ask = { model: plan.calling[back], tools: chatTools, tool_choice: "required" };
    const final = await openai.chat.completions.stream({ ...ask, messages: user }).finalMessage();
    const call = final.tool_calls[0];
    assert.deepEqual(JSON.parse(call.function.arguments), CITY);
    const result = { role: "tool", tool_call_id: call.id, content: "12 degrees" };
    const said = { role: "assistant", content: null, tool_calls: final.tool_calls };
    const second = await openai.chat.completions.create({ ...ask, messages: [...user, said, result] });
    assert.equal(second.choices[0].message.content, "12 degrees");
  },
  async "openai responses"(back) {
    const ask = { model: plan.calling[back], tools: responseTools, tool_choice: "required" };
    const first = await openai.responses.stream({ ...ask, input: plan.words }).finalResponse();
    const call = first.output.find((item) => item.type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), CITY);
    const { parsed_arguments, ...said } = call;
    const result = { type: "function_call_output", call_id: call.call_id, output: "12 degrees" };
    const second = await openai.responses.create({ ...ask, input: [...user, said, result] });
    assert.equal(second.output_text, "12 degrees");
  },
  async "openai embeddings"(back) {
    const answer = await openai.embeddings.create({ model: plan.embedding[back], input: ["a", "b"] });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.length > 1 && Number.isFinite(answer.data[0].embedding[0]));
  },
  async "openai broken stream"(back) {
    const stream = await openai.chat.completions.create({ model: plan.broken[back], messages: user, stream: true });
    await assert.rejects(gather(stream), (error) => error instanceof OpenAI.APIError && /broke off/.test(error.message));
  },
  async "anthropic messages"(back) {
    const ask = { model: plan.backs[back], max_tokens: 50, messages: user };
    const whole = await anthropic.messages.create(ask);
    assert.equal(whole.content[0].text, plan.words);
    const stream = anthropic.messages.stream(ask);
    const final = await stream.finalMessage();
    assert.equal(final.content[0].text, plan.words);
    assert.equal(final.stop_reason, "end_turn");
    assert.deepEqual(final.usage.output_tokens, whole.usage.output_tokens);
    assert.ok((await anthropic.messages.countTokens({ model: ask.model, messages: user })).input_tokens > 1);
  },
  async "anthropic tools"(back) {
    const ask = { model: plan.calling[back], max_tokens: 50, tools: messageTools, tool_choice: { type: "any" } };
    const first = await anthropic.messages.stream({ ...ask, messages: user }).finalMessage();
    const use = first.content.find((block) => block.type === "tool_use");
    assert.deepEqual(use.input, CITY);
    assert.equal(first.stop_reason, "tool_use");
    const result = { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "12 degrees" }] };
    const said = { role: "assistant", content: first.content };
    const second = await anthropic.messages.create({ ...ask, messages: [...user, said, result] });
    assert.equal(second.content[0].text, "12 degrees");
  },
  async "anthropic broken stream"(back) {
    const ask = { model: plan.broken[back], max_tokens: 5000, messages: user, stream: true };
    const stream = await anthropic.messages.create(ask);
    await assert.rejects(
      gather(stream),
      (error) => error instanceof Anthropic.APIError && /broke off/.test(error.message),
    );
  },
};

const results = {};
for (const [name, check] of Object.entries(checks)) {
  results[name] = {};
  for (const back of Object.keys(plan.backs)) {
    try {
      await check(back);
      results[name][back] = "ok";
    } catch (error) {
      results[name][back] = `${error.status ?? ""} ${error.message}`;
    }
  }
}
console.log(JSON.stringify(results));
