-- carbonsched's gate inside slurmctld: a user or account whose monthly carbon
-- quota is used up has its new jobs put off to the next month.
--
-- It runs under slurmctld's locks, so it only reads one small local file, which
-- the daemon replaces atomically, and it fails open: whatever goes wrong here,
-- the job passes and slurmctld's log says why. Valid in Lua 5.1 to 5.4.

local QUOTA_FILE = "/var/lib/carbonsched/quota"

local MARK = "carbonsched:quota"
-- A job without any time limit is tallied as one hour: the tally only bridges
-- the moments until the daemon has predicted the job and writes a new file.
local HOURS_WITHOUT_LIMIT = 1

local snapshot = nil    -- the file as last understood
local content = nil     -- its text, to see whether it changed
local last_trouble = nil

local function log_once(trouble)
  if trouble ~= last_trouble then
    last_trouble = trouble
    if trouble then
      slurm.log_info("%s", "carbonsched: every job passes: " .. trouble)
    else
      slurm.log_info("%s", "carbonsched: the quota file is read again")
    end
  end
end

-- A number that Slurm set: not nil, NO_VAL16, INFINITE16, NO_VAL or above.
local function given(value)
  if type(value) ~= "number" or value <= 0 or value == 65534 or value == 65535
     or value >= 4294967294 then
    return nil
  end
  return value
end

local function decoded(name)
  return (name:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function parsed(text)
  if not text:find("\nend\n?$") then
    return nil, "the quota file is cut off"
  end
  local version, written_at, valid_until_at, period_end_at, rate =
    text:match("^carbonsched%-quota (%d+) (%d+) (%d+) (%d+) ([%d.]+)\n")
  if version ~= "1" then
    return nil, "the quota file is of a kind this plug-in does not know"
  end
  local read = {
    written_at = tonumber(written_at),
    valid_until_at = tonumber(valid_until_at),
    period_end_at = tonumber(period_end_at),
    mg_per_cpu_hour = tonumber(rate),
    remaining = {},
    names = {},
    tally = {},
  }
  for line in text:gmatch("[^\n]+") do
    local kind, name, uid, remaining = line:match("^(%l+) (%S+) (%S+) (%-?%d+)$")
    if kind == "user" or kind == "account" then
      name = decoded(name)
      local subject = kind .. " " .. (kind == "user" and uid or name:lower())
      read.remaining[subject] = tonumber(remaining)
      read.names[subject] = kind .. " " .. name
    end
  end
  return read
end

-- The current snapshot, or nil with the reason why there is none.
local function current(now)
  local file, trouble = io.open(QUOTA_FILE, "rb")
  if not file then
    return nil, trouble
  end
  local text = file:read("*a")
  file:close()
  if text ~= content then
    content = text
    snapshot, trouble = parsed(text or "")
    if not snapshot then
      content = nil
      return nil, trouble
    end
  end
  if now > snapshot.valid_until_at then
    return nil, "the quota file is older than it may be; is the daemon running?"
  end
  return snapshot
end

local function subjects_of(job_desc, submit_uid)
  local uid = job_desc.user_id
  if type(uid) ~= "number" or uid >= 4294967294 then
    uid = submit_uid
  end
  local subjects = { string.format("user %d", uid) }
  local account = job_desc.account or job_desc.default_account
  if account and account ~= "" then
    subjects[2] = "account " .. account:lower()
  end
  return subjects
end

local function count_tasks(indices)
  if not indices or indices == "" then
    return 1
  end
  local count = 0
  for part in indices:gsub("%%%d+", ""):gmatch("[^,]+") do
    local first, last = part:match("^(%d+)%-(%d+)")
    local step = tonumber(part:match(":(%d+)$") or "1")
    if first and step > 0 then
      count = count + math.floor((tonumber(last) - tonumber(first)) / step) + 1
    else
      count = count + 1
    end
  end
  return math.max(count, 1)
end

local function cpus_of(job_desc)
  local per_task = given(job_desc.cpus_per_task) or 1
  local nodes = given(job_desc.min_nodes) or 1
  local per_node = given(job_desc.ntasks_per_node) or 1
  return math.max(
    given(job_desc.min_cpus) or 1,
    (given(job_desc.num_tasks) or 1) * per_task,
    nodes * per_node * per_task
  )
end

-- Hours by the job's own limit, else its partition's.
local function hours_of(job_desc, part_list)
  local minutes = given(job_desc.time_limit)
  if not minutes and part_list then
    for name, part in pairs(part_list) do
      local chosen = job_desc.partition
      local default = part.flag_default
      if chosen and ("," .. chosen .. ","):find("," .. name .. ",", 1, true)
         or not chosen and (default == 1 or default == true) then
        minutes = given(part.default_time) or given(part.max_time)
        break
      end
    end
  end
  return minutes and minutes / 60 or HOURS_WITHOUT_LIMIT
end

local function put_off(job_desc, quota, name, now)
  local own = given(job_desc.begin_time)
  local day = os.date("%Y-%m-%d %H:%M", quota.period_end_at)
  local begin = own and own > now and string.format(" begin=%d", own) or ""
  local note = string.format("%s%s the carbon quota of %s is used up (until=%d)",
    MARK, begin, name, quota.period_end_at)
  if job_desc.admin_comment and job_desc.admin_comment ~= "" then
    note = note .. "; " .. job_desc.admin_comment
  end
  job_desc.begin_time = quota.period_end_at
  job_desc.admin_comment = note
  slurm.log_user("%s", "carbonsched: the carbon quota of " .. name .. " is used up: this job"
    .. " waits for the next period, which begins " .. day)
end

local function gate(job_desc, part_list, submit_uid)
  local now = os.time()
  local quota, trouble = current(now)
  log_once(trouble)
  if not quota then
    return
  end
  local own = given(job_desc.begin_time)
  if quota.period_end_at <= now or own and own >= quota.period_end_at then
    return
  end
  local subjects = subjects_of(job_desc, submit_uid)
  for _, subject in ipairs(subjects) do
    local remaining = quota.remaining[subject]
    if remaining and remaining - (quota.tally[subject] or 0) <= 0 then
      put_off(job_desc, quota, quota.names[subject], now)
      return
    end
  end
  local ok, worked_out = pcall(hours_of, job_desc, part_list)
  local hours = ok and worked_out or HOURS_WITHOUT_LIMIT
  local mg = cpus_of(job_desc) * count_tasks(job_desc.array_inx) * hours * quota.mg_per_cpu_hour
  for _, subject in ipairs(subjects) do
    quota.tally[subject] = (quota.tally[subject] or 0) + mg
  end
end

-- slurmctld runs as SlurmUser, so its own uid says who that is.
local function slurm_uid()
  local file = io.open("/proc/self/status", "rb")
  if not file then
    return 0
  end
  local uid = file:read("*a"):match("\nUid:%s+%d+%s+(%d+)")
  file:close()
  return tonumber(uid) or 0
end

local function may_move(job_desc, job_rec, modify_uid)
  local begin = job_desc.begin_time
  local note = job_rec.admin_comment
  if type(begin) ~= "number" or begin <= 0 or begin >= 4294967294 or not note
     or note:sub(1, #MARK) ~= MARK or modify_uid == 0 or modify_uid == slurm_uid() then
    return true
  end
  local until_at = tonumber((note:match("until=(%d+)")))
    or snapshot and snapshot.period_end_at
  return until_at ~= nil and begin >= until_at
end

function slurm_job_submit(job_desc, part_list, submit_uid)
  local ok, trouble = pcall(gate, job_desc, part_list, submit_uid)
  if not ok then
    pcall(log_once, tostring(trouble))
  end
  return slurm.SUCCESS
end

function slurm_job_modify(job_desc, job_rec, part_list, modify_uid)
  local ok, allowed = pcall(may_move, job_desc, job_rec, modify_uid)
  if ok and not allowed then
    slurm.log_user("%s", "carbonsched: this job waits for its carbon quota's next period;"
      .. " ask an operator for a grant (carbonsched quota grant)")
    return slurm.ESLURM_ACCESS_DENIED or slurm.ERROR
  end
  if not ok then
    pcall(log_once, tostring(allowed))
  end
  return slurm.SUCCESS
end

return slurm.SUCCESS
