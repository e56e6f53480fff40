-- Makes wrk print one line of JSON at the end, and, when told to, sends a body or counts the
-- answers that contain a text.   wrk ... -s wrk.lua URL -- [body BYTES] [mark TEXT]
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  marked = 0
  for i = 1, #args, 2 do
    if args[i] == "body" then
      wrk.method = "POST"
      wrk.body = string.rep("x", tonumber(args[i + 1]))
    elseif args[i] == "mark" then
      local text = args[i + 1]
      response = function(status, headers, body)
        if body:find(text, 1, true) then marked = marked + 1 end
      end
    end
  end
end

function done(summary, latency, requests)
  local all = 0
  for _, thread in ipairs(threads) do all = all + thread:get("marked") end
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "bytes": %d, "connect": %d, "read": %d, ' ..
    '"write": %d, "status": %d, "timeout": %d, "marked": %d}\n',
    summary.requests, summary.duration, summary.bytes, summary.errors.connect,
    summary.errors.read, summary.errors.write, summary.errors.status, summary.errors.timeout, all))
end
