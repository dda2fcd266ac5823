-- Raises the epoch of a lane, so that whoever owned it before can no longer write.
-- KEYS: 1 epoch
-- ARGV: 1 the epoch that this claim ends; one that is missing or earlier is ended, too, since Redis may have lost it
--       2 the least value of the new epoch, above every epoch that this owner has held
-- Reply: the new epoch; 0 when a later epoch stands
local epoch = redis.call('GET', KEYS[1])
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
local next = math.max((tonumber(epoch) or 0) + 1, tonumber(ARGV[2]))
redis.call('SET', KEYS[1], next)
return next
