using Frusta.Contracts.Buffers;
using Frusta.Contracts.Names;

namespace Frusta.Bus.Tests;

public sealed class EmbeddedBusTests : IAsyncLifetime
{
    private readonly BusFixture _fixture = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await _fixture.Bus.RecoverAsync(Cancellation);

    public ValueTask DisposeAsync()
    {
        _fixture.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_blocking_call_is_delivered_at_once_and_leaves_no_entry()
    {
        var reply = new RecordingReply();
        var sent = _fixture.Bus.SendAsync(BusFixture.Activation(blocking: true, reply: reply), acceptFirst: false, Cancellation);
        Assert.True(sent.IsCompletedSuccessfully);
        Assert.Equal(SendOutcome.Sent, await sent);
        var delivery = Take();
        delivery.TryStart();
        delivery.Finished(BusFixture.Finish(delivery.Message.Id));

        Assert.Equal(1, reply.Completed);
        Assert.Single(_fixture.Records.All);
        Assert.Equal(0, _fixture.Log.ActiveSegment);
        Assert.Equal(new BusCounts(1, 1, 0, 0, 0, 0, 0), _fixture.Bus.Snapshot());
    }

    [Fact]
    public async Task An_accepted_activation_is_on_disk_before_it_is_answered()
    {
        Assert.Equal(SendOutcome.Sent, await _fixture.Bus.SendAsync(BusFixture.Activation(), acceptFirst: true, Cancellation));
        Assert.Equal(_fixture.Log.End, _fixture.Log.Synced);
        Assert.Single(_fixture.Intake.Deliveries);
    }

    [Fact]
    public async Task What_was_accepted_and_not_started_runs_after_the_next_start_without_anyone_waiting()
    {
        var activation = BusFixture.Activation();
        var id = activation.Message.Id;
        await _fixture.Bus.SendAsync(activation, acceptFirst: true, Cancellation);

        Assert.Equal(new RecoverySummary(0, 1, 0, 0, 0), await _fixture.RestartAsync());
        var delivery = Take();
        Assert.Equal(id, delivery.Message.Id);
        Assert.Equal("""{"name":"Frusta"}"""u8, delivery.Message.Content.Span);
        Assert.Null(delivery.Action);
        delivery.TryStart();
        delivery.Finished(BusFixture.Finish(id));
        Assert.Equal(new RecoverySummary(1, 0, 0, 0, 0), await _fixture.RestartAsync());
    }

    [Fact]
    public async Task What_was_started_and_not_finished_gets_a_record_of_an_internal_error_once()
    {
        var activation = BusFixture.Activation();
        var id = activation.Message.Id;
        await _fixture.Bus.SendAsync(activation, acceptFirst: true, Cancellation);
        Take().TryStart();

        Assert.Equal(new RecoverySummary(0, 0, 1, 0, 0), await _fixture.RestartAsync());
        Assert.Contains("\"result\":{\"error\":\"whisk internal error\"}", _fixture.Records.All[id], StringComparison.Ordinal);
        Assert.Contains("\"status\":\"whisk internal error\"", _fixture.Records.All[id], StringComparison.Ordinal);
        Assert.Empty(_fixture.Intake.Deliveries);
        Assert.True(_fixture.Bus.Snapshot().IsBalanced);

        Assert.Equal(new RecoverySummary(1, 0, 0, 0, 0), await _fixture.RestartAsync());
        Assert.Equal(0, _fixture.Records.Refused);
    }

    [Fact]
    public async Task An_action_that_asks_for_retries_runs_again_so_many_times()
    {
        await _fixture.Bus.SendAsync(BusFixture.Activation(retries: 1), acceptFirst: true, Cancellation);
        Take().TryStart();
        Assert.Equal(1, (await _fixture.RestartAsync()).DeliveredAgain);
        Take().TryStart();
        Assert.Equal(1, (await _fixture.RestartAsync()).Interrupted);
    }

    [Fact]
    public async Task Starts_are_counted_even_when_the_segments_that_said_so_are_used_again()
    {
        var id = await SendAsync(retries: 2);
        for (var start = 1; start <= 2; start++)
        {
            Take().TryStart();
            for (var i = 0; i < 100; i++)
            {
                await SendAsync(retries: 0, padding: 20_000);
                var other = Take();
                other.TryStart();
                other.Finished(BusFixture.Finish(other.Message.Id));
            }

            Assert.Equal(1, (await _fixture.RestartAsync()).DeliveredAgain);
        }

        Take().TryStart();
        Assert.Equal(1, (await _fixture.RestartAsync()).Interrupted);
        Assert.True(_fixture.Records.All.ContainsKey(id));

        async Task<ActivationId> SendAsync(int retries, int padding = 0)
        {
            var activation = BusFixture.Activation(retries: retries, padding: padding);
            Assert.Equal(SendOutcome.Sent, await _fixture.Bus.SendAsync(activation, acceptFirst: true, Cancellation));
            return activation.Message.Id;
        }
    }

    /// <summary>A message of an earlier process came without its action, which says how often it may start; its entry has the number.</summary>
    [Fact]
    public async Task An_activation_of_an_earlier_process_may_still_be_retried_when_its_entry_was_written_again()
    {
        _fixture.Options.MaxLogBytes = 4 * 1024 * 1024;
        await _fixture.Bus.SendAsync(BusFixture.Activation(retries: 1), acceptFirst: true, Cancellation);
        await _fixture.RestartAsync();
        var first = _fixture.Log.ActiveSegment;
        Take();
        while (_fixture.Log.ActiveSegment < first + 8)
        {
            await _fixture.Bus.SendAsync(BusFixture.Activation(padding: 100_000), acceptFirst: true, Cancellation);
            var other = Take();
            other.Finished(BusFixture.Finish(other.Message.Id));
        }

        Assert.Equal(1, (await _fixture.RestartAsync()).DeliveredAgain);
        Take().TryStart();
        Assert.Equal(1, (await _fixture.RestartAsync()).DeliveredAgain);
    }

    [Fact]
    public async Task A_blocking_call_whose_wait_ended_is_recovered_as_started()
    {
        var activation = BusFixture.Activation(blocking: true);
        var id = activation.Message.Id;
        await _fixture.Bus.SendAsync(activation, acceptFirst: false, Cancellation);
        Take().TryStart();
        Assert.Equal(SendOutcome.Sent, await _fixture.Bus.AcceptSentAsync(id, Cancellation));

        Assert.Equal(1, (await _fixture.RestartAsync()).Interrupted);
        Assert.True(_fixture.Records.All.ContainsKey(id));
    }

    [Fact]
    public async Task A_blocking_call_that_ended_while_its_wait_did_needs_no_entry()
    {
        var activation = BusFixture.Activation(blocking: true);
        var id = activation.Message.Id;
        await _fixture.Bus.SendAsync(activation, acceptFirst: false, Cancellation);
        var delivery = Take();
        delivery.TryStart();
        delivery.Finished(BusFixture.Finish(id));
        Assert.Equal(SendOutcome.Sent, await _fixture.Bus.AcceptSentAsync(id, Cancellation));
        Assert.Equal(0, _fixture.Log.ActiveSegment);
    }

    [Fact]
    public async Task A_fire_is_recovered_whole()
    {
        var trigger = BusFixture.Finish(ActivationId.New(TimeProvider.System));
        var triggerId = trigger.Id;
        var text = System.Text.Encoding.UTF8.GetString(trigger.Record.Span);
        var activations = Enumerable.Range(0, 3).Select(_ => BusFixture.Activation()).ToList();
        Assert.Equal(SendOutcome.Sent, await _fixture.Bus.FireAsync(trigger, activations, Cancellation));
        Assert.Equal(3, _fixture.Intake.Deliveries.Count);
        var finished = Take();
        finished.TryStart();
        finished.Finished(BusFixture.Finish(finished.Message.Id));
        Take().TryStart();
        Assert.True(_fixture.Records.All.TryRemove(triggerId, out _)); // As if the process had died before it wrote the record.

        Assert.Equal(new RecoverySummary(1, 1, 1, 0, 1), await _fixture.RestartAsync());
        Assert.Equal(text, _fixture.Records.All[triggerId]);
    }

    [Fact]
    public async Task A_refused_activation_is_not_run_after_the_next_start()
    {
        _fixture.Intake.Answer = SendOutcome.Full;
        var activation = BusFixture.Activation();
        Assert.Equal(SendOutcome.Full, await _fixture.Bus.SendAsync(activation, acceptFirst: true, Cancellation));
        activation.Message.Release();
        Assert.Equal(default, _fixture.Bus.Snapshot());
        Assert.Equal(new RecoverySummary(0, 0, 0, 0, 0), await _fixture.RestartAsync());
    }

    [Fact]
    public async Task An_overload_is_refused_without_writing_to_the_disk()
    {
        _fixture.Intake.Answer = SendOutcome.NamespaceFull;
        var activation = BusFixture.Activation();
        Assert.Equal(SendOutcome.NamespaceFull, await _fixture.Bus.SendAsync(activation, acceptFirst: true, Cancellation));
        activation.Message.Release();
        Assert.Equal(0, _fixture.Log.ActiveSegment);
        Assert.Equal(default, _fixture.Bus.Snapshot());
    }

    [Fact]
    public async Task The_place_in_the_invoker_is_given_back_when_the_disk_refuses()
    {
        var activation = BusFixture.Activation();
        _fixture.Intake.Reserving = _fixture.Log.Dispose; // refuses from now on, as a full one does
        Assert.Equal(SendOutcome.Full, await _fixture.Bus.SendAsync(activation, acceptFirst: true, Cancellation));
        activation.Message.Release();
        Assert.Equal(1, _fixture.Intake.GivenBack);
        Assert.Empty(_fixture.Intake.Deliveries);
        Assert.Equal(default, _fixture.Bus.Snapshot());
    }

    [Fact]
    public async Task An_activation_that_a_rule_does_not_store_is_done_without_a_record()
    {
        await _fixture.Bus.SendAsync(BusFixture.Activation(), acceptFirst: true, Cancellation);
        var delivery = Take();
        delivery.TryStart();
        delivery.Finished(BusFixture.Finish(delivery.Message.Id, store: false));
        Assert.Equal(new BusCounts(1, 0, 1, 0, 0, 0, 0), _fixture.Bus.Snapshot());
        Assert.Equal(new RecoverySummary(0, 0, 0, 0, 0), await _fixture.RestartAsync());
        Assert.Empty(_fixture.Records.All);
    }

    [Fact]
    public async Task One_namespace_cannot_take_all_and_all_cannot_take_more_than_the_bound()
    {
        _fixture.Options.MaxPendingItems = 4; // The shares were computed before: start again.
        await _fixture.RestartAsync();
        Assert.Equal(SendOutcome.Sent, await SendAsync("one"));
        Assert.Equal(SendOutcome.Sent, await SendAsync("one"));
        Assert.Equal(SendOutcome.NamespaceFull, await SendAsync("one"));
        Assert.Equal(SendOutcome.Sent, await SendAsync("two"));
        Assert.Equal(SendOutcome.Sent, await SendAsync("two"));
        Assert.Equal(SendOutcome.Full, await SendAsync("three"));
        var delivery = Take();
        delivery.Finished(BusFixture.Finish(delivery.Message.Id));
        Assert.Equal(SendOutcome.Sent, await SendAsync("three"));
    }

    [Fact]
    public async Task Segments_whose_activations_are_done_are_used_again()
    {
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(SendOutcome.Sent, await _fixture.Bus.SendAsync(BusFixture.Activation(padding: 20_000), acceptFirst: true, Cancellation));
            var delivery = Take();
            delivery.TryStart();
            delivery.Finished(BusFixture.Finish(delivery.Message.Id));
        }

        await _fixture.Bus.StopAsync(TimeSpan.FromSeconds(5));
        Assert.InRange(_fixture.Log.ActiveSegment, 3, 100);
        Assert.InRange(_fixture.Log.ListSegments().Count, 1, 2);
        Assert.Equal(0, (await _fixture.RestartAsync()).DeliveredAgain);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_pending_for_long_does_not_fill_the_log_and_is_still_recovered_once(bool isStarted)
    {
        _fixture.Options.MaxPendingBytes = 2 * 1024 * 1024;
        _fixture.Options.MaxLogBytes = 6 * 1024 * 1024;
        await _fixture.RestartAsync();
        var slow = new List<ActivationId>();
        for (var i = 0; i < 1000; i++)
        {
            Assert.Equal(SendOutcome.Sent, await _fixture.Bus.SendAsync(BusFixture.Activation(padding: 20_000), acceptFirst: true, Cancellation));
            var delivery = Take();
            if (i % 50 == 0)
            {
                slow.Add(delivery.Message.Id); // one in each segment
                Assert.True(!isStarted || delivery.TryStart());
            }
            else
            {
                delivery.TryStart();
                delivery.Finished(BusFixture.Finish(delivery.Message.Id));
            }
        }

        Assert.InRange(_fixture.Log.ActiveSegment, 15, 100);
        Assert.InRange(_fixture.Log.TotalBytes, 1, _fixture.Options.MaxLogBytes);
        var summary = await _fixture.RestartAsync();
        Assert.Equal(isStarted ? (0, 20) : (20, 0), (summary.DeliveredAgain, summary.Interrupted));
        var left = isStarted ? slow.Where(_fixture.Records.All.ContainsKey) : _fixture.Intake.Deliveries.Select(static delivery => delivery.Message.Id);
        Assert.Equal(slow.ToHashSet(), left.ToHashSet());
        Assert.Equal(0, _fixture.Records.Refused);
    }

    [Theory]
    [InlineData("Accepted Accepted", 1, 0)]
    [InlineData("Accepted Started Accepted", 0, 1)]
    [InlineData("Accepted Started Accepted Started", 0, 1)]
    [InlineData("Accepted Started Accepted Started Done", 0, 0)]
    public async Task An_entry_and_its_copy_are_one_activation(string entries, int deliveredAgain, int interrupted)
    {
        var activation = BusFixture.Activation();
        using var accepted = PooledBuffer.Rent();
        AcceptedEntry.WriteAccepted(activation.Message, retries: 0, accepted);
        var started = new byte[24];
        activation.Message.Id.WriteBytes(started);
        foreach (var type in entries.Split(' ').Select(Enum.Parse<EntryType>))
        {
            _fixture.Log.Append((byte)type, type == EntryType.Accepted ? accepted.Span : started, []);
        }

        var summary = await _fixture.RestartAsync();

        Assert.Equal((deliveredAgain, interrupted), (summary.DeliveredAgain, summary.Interrupted));
        Assert.Equal((deliveredAgain, interrupted), (_fixture.Intake.Deliveries.Count, _fixture.Records.All.Count));
    }

    [Fact]
    public async Task A_record_that_cannot_be_written_keeps_its_activation_in_the_log()
    {
        await _fixture.Bus.SendAsync(BusFixture.Activation(), acceptFirst: true, Cancellation);
        var delivery = Take();
        delivery.TryStart();
        _fixture.Records.IsFull = true;
        delivery.Finished(BusFixture.Finish(delivery.Message.Id));
        Assert.Equal(1, _fixture.Bus.Snapshot().RecordsRefused);
        _fixture.Records.IsFull = false;
        Assert.Equal(1, (await _fixture.RestartAsync()).Interrupted);
    }

    [Fact]
    public async Task A_client_whose_record_cannot_be_written_is_refused_and_never_given_the_id()
    {
        var reply = new RecordingReply();
        await _fixture.Bus.SendAsync(BusFixture.Activation(blocking: true, reply: reply), acceptFirst: false, Cancellation);
        var delivery = Take();
        delivery.TryStart();
        _fixture.Records.IsFull = true;

        delivery.Finished(BusFixture.Finish(delivery.Message.Id));

        Assert.Equal((0, 1), (reply.Completed, reply.Refused));
        Assert.Equal(SendOutcome.Full, await _fixture.Bus.AcceptSentAsync(delivery.Message.Id, Cancellation)); // a wait that ended at that very moment
        Assert.True(_fixture.Bus.Snapshot().IsBalanced);
    }

    [Fact]
    public async Task A_start_that_cannot_be_written_is_refused()
    {
        await _fixture.Bus.SendAsync(BusFixture.Activation(), acceptFirst: true, Cancellation);
        var delivery = Take();
        _fixture.Log.Dispose(); // refuses from now on, as a full one does

        Assert.False(delivery.TryStart());
    }

    [Fact]
    public async Task What_is_too_old_gets_a_record_and_is_not_run()
    {
        await _fixture.Bus.SendAsync(BusFixture.Activation(), acceptFirst: true, Cancellation);
        _fixture.Options.MaxAgeSeconds = -1;
        Assert.Equal(1, (await _fixture.RestartAsync()).TooOld);
        Assert.Empty(_fixture.Intake.Deliveries);
        Assert.Single(_fixture.Records.All);
    }

    [Fact]
    public async Task After_the_stop_nothing_is_taken_and_what_waits_is_left_to_the_next_start()
    {
        await _fixture.Bus.SendAsync(BusFixture.Activation(), acceptFirst: true, Cancellation);
        await _fixture.Bus.StopAsync(TimeSpan.FromMilliseconds(10));
        Assert.Equal(SendOutcome.Full, await SendAsync("guest"));
        Assert.Equal(1, (await _fixture.RestartAsync()).DeliveredAgain);
    }

    private ValueTask<SendOutcome> SendAsync(string space) => _fixture.Bus.SendAsync(BusFixture.Activation(space), acceptFirst: false, Cancellation);

    private IDelivery Take()
    {
        Assert.True(_fixture.Intake.Deliveries.TryDequeue(out var delivery));
        return delivery;
    }
}
