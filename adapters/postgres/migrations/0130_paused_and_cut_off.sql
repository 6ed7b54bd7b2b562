-- A paused container is called paused, and a service that is cut off from its base is not called exited.
alter table drift drop constraint drift_reason_check;
alter table drift add constraint drift_reason_check check
  (reason in ('missing', 'exited', 'paused', 'cut_off', 'other_image', 'other_configuration', 'orphan', 'moved_address'));
